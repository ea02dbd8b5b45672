import logging

from django.http import Http404, HttpRequest, JsonResponse

from apps.core import metrics
from apps.core.api import Invalid, api, body, integer
from apps.tickets.models import Comment, Ticket

logger = logging.getLogger("helpdesk.tickets")

FIELDS = ("id", "title", "status", "priority", "requester_id", "created_at", "resolved_at")


@api("GET", "POST")
def tickets(request: HttpRequest) -> JsonResponse:
    return create(request) if request.method == "POST" else newest(request)


def newest(request: HttpRequest) -> JsonResponse:
    """The newest tickets of the organization: ?status=, ?limit=, and ?before=<id> for the page after."""
    found = Ticket.objects.filter(organization_id=request.user.organization_id).order_by("-id")
    if status := request.GET.get("status"):
        found = found.filter(status=one_of(Ticket.Status, "status", status))
    if before := integer(request, "before", None, 1):
        found = found.filter(pk__lt=before)
    return JsonResponse({"tickets": list(found.values(*FIELDS)[: integer(request, "limit", 20, 1, 100)])})


def create(request: HttpRequest) -> JsonResponse:
    given = body(request)
    if request.user.organization_id is None:
        raise Invalid(organization="the user belongs to none")
    created = Ticket.objects.create(
        organization_id=request.user.organization_id,
        requester=request.user,
        title=line(given, "title", 200),
        description=line(given, "description", 20_000, required=False),
        priority=one_of(Ticket.Priority, "priority", given.get("priority", Ticket.Priority.NORMAL)),
    )
    metrics.TICKETS_CREATED.inc()
    logger.info("ticket created", extra={"fields": {"ticket_id": created.pk}})
    return JsonResponse(details(created), status=201, headers={"Location": f"/api/tickets/{created.pk}/"})


@api("GET")
def ticket(request: HttpRequest, pk: int) -> JsonResponse:
    return JsonResponse(details(own(request, pk)))


@api("POST")
def resolve(request: HttpRequest, pk: int) -> JsonResponse:
    """Resolving twice is not an error, and counts once."""
    found = own(request, pk)
    if found.resolve():
        metrics.TICKETS_RESOLVED.inc()
        logger.info("ticket resolved", extra={"fields": {"ticket_id": pk}})
    return JsonResponse(details(found))


@api("GET", "POST")
def comments(request: HttpRequest, pk: int) -> JsonResponse:
    found = own(request, pk)
    if request.method == "GET":
        listed = found.comments.order_by("id").values("id", "author_id", "body", "created_at")[:200]
        return JsonResponse({"comments": list(listed)})
    created = Comment.objects.create(
        ticket=found, author=request.user, body=line(body(request), "body", 20_000)
    )
    return JsonResponse({"id": created.pk, "author_id": created.author_id, "body": created.body}, status=201)


def own(request: HttpRequest, pk: int) -> Ticket:
    """A ticket of the user's organization; others' are not found, as if they did not exist."""
    try:
        return Ticket.objects.get(pk=pk, organization_id=request.user.organization_id)
    except Ticket.DoesNotExist:
        raise Http404 from None


def details(found: Ticket) -> dict:
    return {field: getattr(found, field) for field in (*FIELDS, "description")}


def line(given: dict, name: str, longest: int, *, required: bool = True) -> str:
    value = given.get(name, "")
    if (
        not isinstance(value, str)
        or len(value) > longest
        or "\x00" in value
        or (required and not value.strip())
    ):
        raise Invalid(**{name: f"must be text of {1 if required else 0} to {longest} characters"})
    return value


def one_of(choices, name: str, value: object) -> str:
    if value not in choices.values:
        raise Invalid(**{name: f"must be one of {', '.join(choices.values)}"})
    return str(value)
