"""A project whose migrations are odd on purpose; it prints where it should not, as applications do."""

import os

print("settings are being loaded")

SECRET_KEY = "for tests alone"
INSTALLED_APPS = ["shop", "odd", "slow", "oneway"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["PGHOST"],
        "PORT": os.environ["PGPORT"],
        "USER": os.environ["PGUSER"],
        "PASSWORD": os.environ["PGPASSWORD"],
        "NAME": os.environ["PGDATABASE"],
    }
}
