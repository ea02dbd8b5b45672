from django.urls import include, path

from apps.core import views

urlpatterns = [
    path("", views.index, name="index"),
    path("api/tickets/", include("apps.tickets.urls")),
    path("api/organizations/", include("apps.organizations.urls")),
    path("api/users/", include("apps.users.urls")),
    path("api/flags/", include("apps.features.urls")),
]

handler400 = "apps.core.views.bad_request"
handler403 = "apps.core.views.forbidden"
handler404 = "apps.core.views.not_found"
handler500 = "apps.core.views.server_error"
