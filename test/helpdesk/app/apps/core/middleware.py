import logging
import re
import time
import uuid

from django.urls import Resolver404, resolve

from apps.core import context, metrics, views

logger = logging.getLogger("helpdesk.request")

ACCEPTED_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
OPERATIONS = {"/health/": views.health, "/metrics": views.metrics, "/version": views.version}


def endpoint(request) -> str:
    """The route, for labels: a raw path would make a new time series for every ticket."""
    if request.path_info in OPERATIONS:
        return request.path_info
    match = request.resolver_match
    if match is None:
        try:
            match = resolve(request.path_info)
        except Resolver404:
            return "unmatched"
    return f"/{match.route}"


class RequestContext:
    """Gives each request its id, from X-Request-Id or a new one, and logs how it ended."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        start = time.perf_counter()
        context.clear()
        given = request.headers.get("X-Request-Id", "")
        request_id = given if ACCEPTED_REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        context.request_id.set(request_id)
        response = self.get_response(request)
        response["X-Request-Id"] = request_id
        logger.log(
            # A probe every few seconds is no news.
            logging.DEBUG if request.path_info in OPERATIONS else logging.INFO,
            "%s %s %d",
            request.method,
            request.path_info,
            response.status_code,
            extra={
                "fields": {
                    "method": request.method,
                    "endpoint": endpoint(request),
                    "status": response.status_code,
                    "duration_ms": round((time.perf_counter() - start) * 1000, 3),
                }
            },
        )
        return response


class Operations:
    """Answers those who operate the application: load balancers, Prometheus, deployments."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        view = OPERATIONS.get(request.path_info)
        return view(request) if view else self.get_response(request)


class RequestMetrics:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        start = time.perf_counter()
        response = self.get_response(request)
        method = request.method if request.method in METHODS else "other"
        labels = (method, endpoint(request), str(response.status_code))
        metrics.REQUEST_DURATION.labels(*labels).observe(time.perf_counter() - start)
        metrics.REQUESTS.labels(*labels).inc()
        return response
