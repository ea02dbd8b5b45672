"""A release that starts, and never gets ready: one of its health checks fails for ever."""

MIDDLEWARE: list[str] = []
HEALTH_CHECKS = {"search_index": "config.behavior.search_index"}
