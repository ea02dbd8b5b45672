"""Who is asking, for logs: set at the start of a request, read by the formatter in whatever code logs."""

from contextvars import ContextVar

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
user_id: ContextVar[int | None] = ContextVar("user_id", default=None)
organization_id: ContextVar[int | None] = ContextVar("organization_id", default=None)

FIELDS = {"request_id": request_id, "user_id": user_id, "organization_id": organization_id}


def clear() -> None:
    for variable in FIELDS.values():
        variable.set(None)
