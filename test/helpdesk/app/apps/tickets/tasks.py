"""What the worker does with tickets."""

import logging
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from apps.tickets.models import Ticket
from config.celery import app

logger = logging.getLogger("helpdesk.tickets")


@app.task
def resolve_stale(days: int = 30) -> int:
    """Resolves open tickets that are older than that and that nobody has written to since; how many.

    Twice is as good as once, for a task can be run again when its worker was killed.
    """
    limit = timezone.now() - timedelta(days=days)
    stale = Ticket.objects.filter(status=Ticket.Status.OPEN, created_at__lt=limit).exclude(
        Q(comments__created_at__gte=limit)
    )
    resolved = sum(ticket.resolve() for ticket in stale)
    logger.info("stale tickets resolved", extra={"fields": {"tickets": resolved, "days": days}})
    return resolved
