from django.http import HttpRequest, JsonResponse

from apps.core.api import api
from apps.organizations.models import Organization


@api("GET")
def organizations(request: HttpRequest) -> JsonResponse:
    """The organizations the user may see: its own."""
    found = Organization.objects.filter(pk=request.user.organization_id)
    return JsonResponse({"organizations": list(found.values("id", "slug", "name", "description"))})
