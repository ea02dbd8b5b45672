from django.http import HttpRequest, JsonResponse

from apps.core.api import api
from apps.core.caching import remember
from apps.features.models import Feature


@api("GET")
def flags(request: HttpRequest) -> JsonResponse:
    """Every flag; a change is seen within 30 seconds."""
    return JsonResponse({"flags": remember("flags", 30, read)})


def read() -> list[dict]:
    return [
        {
            "slug": feature.slug,
            "name": feature.name,
            "category": feature.category.slug,
            "is_active": feature.is_active,
        }
        for feature in Feature.objects.select_related("category").order_by("slug")
    ]
