"""The worker and its one scheduler: `celery -A config worker`, `celery -A config beat`.

SIGTERM is a warm shutdown: the worker takes no more tasks and finishes those that it has.
"""

import logging.config
import os

from celery import Celery
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")

app = Celery("helpdesk")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def log_as_the_application_does(**_kwargs) -> None:
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)
