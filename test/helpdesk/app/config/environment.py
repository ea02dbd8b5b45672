"""Reads settings from the environment; a wrong or missing value says which variable it was."""

import os
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str | None = None) -> str:
    value = os.environ.get(name, "") or default
    if value is None:
        raise ImproperlyConfigured(f"the environment variable {name} is required and has no default here")
    return value


def integer(name: str, default: int) -> int:
    value = os.environ.get(name, "")
    try:
        return int(value) if value else default
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}") from None


def boolean(name: str, default: bool) -> bool:
    value = os.environ.get(name, "").lower()
    if value in ("true", "1", "yes"):
        return True
    if value in ("false", "0", "no"):
        return False
    if value:
        raise ImproperlyConfigured(f"{name} must be true or false, not {value!r}")
    return default


def words(name: str, default: str | None = None) -> list[str]:
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def database(name: str) -> dict:
    """Django's settings for a URL: postgresql://user:password@host:port/name?sslmode=… or sqlite:///path.

    Query parameters become connection options. The value is never repeated in a message: it holds a password.
    """
    url = urlsplit(text(name))
    if url.scheme == "sqlite":
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": unquote(url.path[1:]) or ":memory:"}
    if url.scheme not in ("postgresql", "postgres"):
        raise ImproperlyConfigured(f"{name} must begin with postgresql:// or sqlite://")
    try:
        port = url.port
    except ValueError:
        raise ImproperlyConfigured(f"{name} has a port that is not a number") from None
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(url.path[1:]),
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "HOST": url.hostname or "",
        "PORT": str(port or ""),
        "OPTIONS": {"connect_timeout": 3, **dict(parse_qsl(url.query))},
    }
