from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from prometheus_client import CONTENT_TYPE_LATEST

from apps.core import health as checks
from apps.core import metrics as measures


def index(request: HttpRequest) -> JsonResponse:
    return JsonResponse(
        {
            "service": "helpdesk",
            "version": settings.VERSION,
            "links": ["/api/tickets/", "/api/users/", "/api/organizations/", "/api/flags/"],
        }
    )


def health(request: HttpRequest) -> JsonResponse:
    report = checks.report()
    return uncached(JsonResponse(report, status=200 if report["status"] == "healthy" else 503))


def metrics(request: HttpRequest) -> HttpResponse:
    return uncached(HttpResponse(measures.exposition(), content_type=CONTENT_TYPE_LATEST))


def version(request: HttpRequest) -> JsonResponse:
    return uncached(JsonResponse({"version": settings.VERSION, "slot": settings.SLOT}))


def uncached(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "no-store"
    return response


def bad_request(request, exception):
    return JsonResponse({"error": "bad request"}, status=400)


def forbidden(request, exception):
    return JsonResponse({"error": "forbidden"}, status=403)


def not_found(request, exception):
    return JsonResponse({"error": "not found"}, status=404)


def server_error(request):
    return JsonResponse({"error": "internal server error"}, status=500)
