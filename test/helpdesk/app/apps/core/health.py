"""Is everything there that this instance needs to serve?

Each check returns or raises; one that returns DISABLED had nothing to check.
"""

import logging
import time
import uuid
from datetime import datetime, timezone
from functools import lru_cache

from django.conf import settings
from django.core.cache import cache as default_cache
from django.db import connection
from django.utils.module_loading import import_string
from redis import Redis

logger = logging.getLogger("helpdesk.health")

DISABLED = object()


def database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()


def cache() -> None:
    # A key of its own: two instances checking one cache at once must not read each other's value.
    key, value = f"health:{uuid.uuid4().hex}", uuid.uuid4().hex
    default_cache.set(key, value, 10)
    found = default_cache.get(key)
    default_cache.delete(key)
    if found != value:
        raise RuntimeError("the cache did not return what was written")


def redis() -> object | None:
    if not settings.REDIS_URL:
        return DISABLED
    _redis().ping()
    return None


@lru_cache
def _redis() -> Redis:
    return Redis.from_url(settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=1)


def _run(name: str, check) -> dict:
    start = time.perf_counter()
    try:
        outcome = check()
    except Exception as error:
        # The page is open to all, so it names the kind of error; the log has what it says.
        logger.warning("health check %s failed", name, exc_info=True)
        return {
            "status": "unhealthy",
            "response_time": round(time.perf_counter() - start, 6),
            "error": type(error).__name__,
        }
    if outcome is DISABLED:
        return {"status": "disabled"}
    return {"status": "healthy", "response_time": round(time.perf_counter() - start, 6)}


def report() -> dict:
    """The state as a whole and of each check; response times in seconds."""
    checks = {name: _run(name, import_string(path)) for name, path in settings.HEALTH_CHECKS.items()}
    healthy = all(check["status"] != "unhealthy" for check in checks.values())
    return {
        "status": "healthy" if healthy else "unhealthy",
        "version": settings.VERSION,
        "slot": settings.SLOT,
        "timestamp": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "checks": checks,
    }
