"""Prometheus metrics of requests, database, cache and business.

Right in one process with threads; in several, when PROMETHEUS_MULTIPROC_DIR is an empty folder they share.
"""

import logging
import os
import time
import weakref

from django.conf import settings
from django.core.signals import request_finished
from django.db import DatabaseError
from django.db.backends.signals import connection_created
from django.dispatch import receiver
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

logger = logging.getLogger("helpdesk.metrics")

REQUESTS = Counter(
    "http_requests",
    "Requests answered, but for /health/, /metrics and /version",
    ["method", "endpoint", "status"],
)
REQUEST_DURATION = Histogram(
    "http_request_duration_seconds",
    "Time to answer a request",
    ["method", "endpoint", "status"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 10),
)
DB_CONNECTIONS = Gauge(
    "database_connections_active", "Open database connections", multiprocess_mode="livesum"
)
DB_QUERY_DURATION = Histogram(
    "database_query_duration_seconds",
    "Time of a database query",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)
CACHE_HITS = Counter("cache_hits", "Values found in the cache", ["cache_name"])
CACHE_MISSES = Counter("cache_misses", "Values not found in the cache", ["cache_name"])
TICKETS_CREATED = Counter("tickets_created", "Tickets created")
TICKETS_RESOLVED = Counter("tickets_resolved", "Tickets resolved")

_connections: weakref.WeakSet = weakref.WeakSet()


def _timed_query(execute, sql, params, many, context):
    start = time.perf_counter()
    try:
        return execute(sql, params, many, context)
    finally:
        DB_QUERY_DURATION.observe(time.perf_counter() - start)


@receiver(connection_created)
def _watch_connection(connection, **_):
    _connections.add(connection)
    if _timed_query not in connection.execute_wrappers:
        connection.execute_wrappers.append(_timed_query)


@receiver(request_finished)
def _count_connections(**_):
    # Django does not announce that a connection closed, so they are counted instead of kept account of.
    DB_CONNECTIONS.set(sum(1 for connection in tuple(_connections) if connection.connection is not None))


class Business(Collector):
    """Counts that are the database's, not a process's: read when they are asked for.

    Every instance reports the same number: aggregate them with max, not with sum.
    """

    def describe(self):
        return []

    def collect(self):
        from apps.tickets.models import Ticket
        from apps.users.models import User

        try:
            open_tickets = Ticket.objects.filter(status=Ticket.Status.OPEN).count()
            active_users = User.objects.recently_active().count()
        except DatabaseError:
            # No number is better than an old one; the rest of /metrics has to be seen all the more now.
            logger.warning("business metrics are left out", exc_info=True)
            return
        yield GaugeMetricFamily("tickets_open", "Open tickets", value=open_tickets)
        yield GaugeMetricFamily("active_users", "Users seen in the last 15 minutes", value=active_users)


class Release(Collector):
    def describe(self):
        return []

    def collect(self):
        info = GaugeMetricFamily(
            "helpdesk_release_info", "The release that runs here", labels=["version", "slot"]
        )
        info.add_metric([settings.VERSION, settings.SLOT], 1)
        yield info


def _registry() -> CollectorRegistry:
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = REGISTRY
    else:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
    registry.register(Release())
    registry.register(Business())
    return registry


_exposed = _registry()


def exposition() -> bytes:
    """Everything in Prometheus' text format."""
    _count_connections()
    return generate_latest(_exposed)
