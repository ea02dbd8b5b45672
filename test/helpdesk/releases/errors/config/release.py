"""A release that answers every fifth request with 500."""

MIDDLEWARE = ["config.behavior.EveryFifthFails"]
HEALTH_CHECKS: dict[str, str] = {}
