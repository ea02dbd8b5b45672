"""The AI service: says which category and priority a ticket's text has. WSGI: `gunicorn service`.

POST /classify {"text": …} → {"category", "priority", "confidence"}; GET /health/, /version, /metrics.
"""

import json
import time
from http import HTTPStatus
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest

from classifier import Classifier

LONGEST = 20_000  # characters of a text
LARGEST = 100_000  # bytes of a request

FOLDER = Path(__file__).parent
VERSION_FILE = FOLDER / "VERSION"
VERSION = VERSION_FILE.read_text().strip() if VERSION_FILE.exists() else "unreleased"

CATEGORY = Classifier(json.loads((FOLDER / "categories.json").read_text()))
URGENT = {"down", "outage", "urgent", "immediately", "everyone", "breach", "emergency", "blocked", "lost"}

REQUESTS = Counter("ai_requests_total", "Requests for a classification", ["status"])
SECONDS = Histogram("ai_classification_seconds", "How long a classification takes")


class Refused(Exception):
    def __init__(self, status: HTTPStatus, message: str):
        super().__init__(message)
        self.status = status


def classify(environ: dict) -> dict:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > LARGEST:
        raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {LARGEST} bytes")
    try:
        given = json.loads(environ["wsgi.input"].read(length))
    except ValueError:
        raise Refused(HTTPStatus.BAD_REQUEST, "the body is not JSON") from None
    text = given.get("text") if isinstance(given, dict) else None
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST:
        raise Refused(HTTPStatus.BAD_REQUEST, f"text must be text of 1 to {LONGEST} characters")
    start = time.perf_counter()
    category, confidence = CATEGORY.classify(text)
    SECONDS.observe(time.perf_counter() - start)
    urgent = not URGENT.isdisjoint(CATEGORY.words(text))
    return {"category": category, "priority": "high" if urgent else "normal", "confidence": round(confidence, 4)}


def health() -> dict:
    """Healthy when it can do its work: an example is told as what it is."""
    category, _ = CATEGORY.classify("I cannot log in with my password")
    healthy = category == "account"
    return {"status": "healthy" if healthy else "unhealthy", "version": VERSION}


def application(environ, start_response):
    status, kind = HTTPStatus.OK, "application/json"
    path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
    headers = []
    if path == "/classify" and method == "POST":
        try:
            body = classify(environ)
        except Refused as refused:
            status, body = refused.status, {"error": str(refused)}
        REQUESTS.labels(status.value).inc()
    elif path in ("/health/", "/version", "/metrics", "/classify"):
        allowed = "POST" if path == "/classify" else "GET"
        if method != allowed:
            status, body = HTTPStatus.METHOD_NOT_ALLOWED, {"error": "method not allowed"}
            headers.append(("Allow", allowed))
        elif path == "/health/":
            body = health()
            status = HTTPStatus.OK if body["status"] == "healthy" else HTTPStatus.SERVICE_UNAVAILABLE
        elif path == "/version":
            body = {"version": VERSION}
        else:
            body, kind = generate_latest(), CONTENT_TYPE_LATEST
    else:
        status, body = HTTPStatus.NOT_FOUND, {"error": "not found"}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers += [("Content-Type", kind), ("Content-Length", str(len(content)))]
    start_response(f"{status.value} {status.phrase}", headers)
    return [content]
