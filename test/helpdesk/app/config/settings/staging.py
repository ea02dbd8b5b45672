"""Staging is production with other values in its environment: nothing here can drift from it."""

from config.settings.production import *  # noqa: F403
