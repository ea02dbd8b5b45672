"""What this release adds to the application: nothing, in the application as it is.

A release that misbehaves on purpose replaces this file by its own: see the folder `releases` beside the
application.
"""

MIDDLEWARE: list[str] = []
HEALTH_CHECKS: dict[str, str] = {}
