from django.urls import path

from apps.features import views

urlpatterns = [path("", views.flags)]
