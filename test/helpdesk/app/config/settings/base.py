"""What every environment shares. Values that differ between environments come from environment variables."""

from pathlib import Path

from apps.core.logs import logging_config
from config import environment, release

BASE_DIR = Path(__file__).resolve().parent.parent.parent

# The version is a property of the code, so it lies beside it; the slot is a property of the place it runs in.
VERSION_FILE = BASE_DIR / "VERSION"
VERSION = VERSION_FILE.read_text().strip() if VERSION_FILE.exists() else "unreleased"
SLOT = environment.text("SLOT", "none")

DEBUG = False
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "apps.core",
    "apps.organizations",
    "apps.users",
    "apps.tickets",
    "apps.features",
]
MIDDLEWARE = [
    "apps.core.middleware.RequestContext",
    # Probes come over plain HTTP to an address: they are answered before redirects and the check of the host
    # name, and are not counted as requests, so that they cannot dilute an error rate.
    "apps.core.middleware.Operations",
    "apps.core.middleware.RequestMetrics",
    "django.middleware.security.SecurityMiddleware",
    *release.MIDDLEWARE,
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
# The API is authenticated by a header and sets no cookie: a cross-site request has nothing to borrow.
SILENCED_SYSTEM_CHECKS = ["security.W003"]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
AUTH_USER_MODEL = "users.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
API_TOKEN_MAX_AGE = environment.integer("API_TOKEN_MAX_AGE", 30 * 24 * 3600)  # seconds
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

REDIS_URL = environment.text("REDIS_URL", "")
CACHES = {
    "default": (
        {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": "helpdesk",
            "OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
        }
        if REDIS_URL
        else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    )
}

# Without a broker, tasks are queued in memory: nothing but a test would take them from there.
CELERY_BROKER_URL = environment.text("CELERY_BROKER_URL", REDIS_URL or "memory://")
CELERY_RESULT_BACKEND = environment.text("CELERY_RESULT_BACKEND", REDIS_URL or "cache+memory://")
CELERY_RESULT_EXPIRES = 3600  # seconds
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A task is done when it has ended, not when it has been taken: one whose worker is killed is run again.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_TIME_LIMIT = 300  # seconds
CELERY_BEAT_SCHEDULE = {
    "resolve-stale": {"task": "apps.tickets.tasks.resolve_stale", "schedule": 24 * 3600},
}

HEALTH_CHECKS = {
    "database": "apps.core.health.database",
    "cache": "apps.core.health.cache",
    "redis": "apps.core.health.redis",
    **release.HEALTH_CHECKS,
}

LOGGING = logging_config(environment.text("LOG_LEVEL", "INFO"))


# One connection a thread, kept between requests and replaced when the server has closed it.
DATABASES = {
    "default": {**environment.database("DATABASE_URL"), "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
}
