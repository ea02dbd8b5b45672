from django.http import HttpRequest, JsonResponse

from apps.core.api import api
from apps.users.models import User

FIELDS = ("id", "email", "first_name", "last_name", "organization_id")


@api("GET")
def users(request: HttpRequest) -> JsonResponse:
    """The users of one's own organization."""
    found = User.objects.filter(organization_id=request.user.organization_id, is_active=True).order_by("id")
    return JsonResponse({"users": list(found.values(*FIELDS)[:200])})


@api("GET")
def me(request: HttpRequest) -> JsonResponse:
    return JsonResponse({field: getattr(request.user, field) for field in FIELDS})
