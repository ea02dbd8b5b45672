"""On a developer's machine: details of errors in the answers. DATABASE_URL may be sqlite:///db.sqlite3."""

from django.core.management.utils import get_random_secret_key

from config import environment
from config.settings.base import *  # noqa: F403

DEBUG = True
# Without SECRET_KEY each process makes its own, and an API token does not outlive it.
SECRET_KEY = environment.text("SECRET_KEY", get_random_secret_key())
ALLOWED_HOSTS = environment.words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
