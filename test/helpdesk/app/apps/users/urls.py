from django.urls import path

from apps.users import views

urlpatterns = [path("", views.users), path("me/", views.me)]
