from django.urls import path

from apps.organizations import views

urlpatterns = [path("", views.organizations)]
