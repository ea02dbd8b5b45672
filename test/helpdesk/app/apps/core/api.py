"""What the views of the API share: who is asking, which methods are allowed, what the body says."""

import json
from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, JsonResponse

from apps.core import context
from apps.users import tokens


class Invalid(Exception):
    """The request's fields are wrong: a message for each."""

    def __init__(self, **errors: str):
        super().__init__(errors)
        self.errors = errors


def api(*methods: str) -> Callable:
    """A view for these methods and a user with a valid token (`Authorization: Bearer …`): `request.user`."""

    def decorate(view):
        @wraps(view)
        def wrapped(request: HttpRequest, *args, **kwargs) -> JsonResponse:
            if request.method not in methods:
                return JsonResponse(
                    {"error": "method not allowed"}, status=405, headers={"Allow": ", ".join(methods)}
                )
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            user = tokens.user_of(token) if scheme.lower() == "bearer" else None
            if user is None:
                return JsonResponse(
                    {"error": "a valid API token is needed"},
                    status=401,
                    headers={"WWW-Authenticate": "Bearer"},
                )
            request.user = user
            context.user_id.set(user.pk)
            context.organization_id.set(user.organization_id)
            user.seen()
            try:
                return view(request, *args, **kwargs)
            except Invalid as invalid:
                return JsonResponse({"errors": invalid.errors}, status=400)

        return wrapped

    return decorate


def body(request: HttpRequest) -> dict:
    try:
        value = json.loads(request.body)
    except ValueError:
        raise Invalid(body="must be JSON") from None
    if not isinstance(value, dict):
        raise Invalid(body="must be a JSON object")
    return value


def integer(
    request: HttpRequest, name: str, default: int | None, least: int, most: int | None = None
) -> int | None:
    """A whole number from the query string."""
    given = request.GET.get(name)
    if given is None:
        return default
    if (
        not given.isdecimal()
        or len(given) > 18
        or int(given) < least
        or (most is not None and int(given) > most)
    ):
        raise Invalid(
            **{name: f"must be a whole number of at least {least}" + (f" and at most {most}" if most else "")}
        )
    return int(given)
