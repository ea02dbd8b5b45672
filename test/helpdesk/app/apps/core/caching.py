import logging
from collections.abc import Callable
from typing import TypeVar

from django.core.cache import cache

from apps.core import metrics

logger = logging.getLogger("helpdesk.cache")
T = TypeVar("T")


def remember(key: str, seconds: int, compute: Callable[[], T]) -> T:
    """The cached value, or compute() kept for so long. Without a cache all is slower, not broken."""
    try:
        value = cache.get(key)
    except Exception:
        logger.warning("the cache cannot be read", exc_info=True)
        return compute()
    if value is not None:
        metrics.CACHE_HITS.labels("default").inc()
        return value
    metrics.CACHE_MISSES.labels("default").inc()
    value = compute()
    try:
        cache.set(key, value, seconds)
    except Exception:
        logger.warning("the cache cannot be written", exc_info=True)
    return value
