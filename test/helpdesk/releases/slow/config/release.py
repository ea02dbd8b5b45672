"""A release that takes 1.5 seconds more for every request."""

MIDDLEWARE = ["config.behavior.Slow"]
HEALTH_CHECKS: dict[str, str] = {}
