from django.urls import path

from apps.tickets import views

urlpatterns = [
    path("", views.tickets),
    path("<int:pk>/", views.ticket),
    path("<int:pk>/resolve/", views.resolve),
    path("<int:pk>/comments/", views.comments),
]
