"""The Celery application: queues, schedule, and the tasks of this package."""

import os

from celery import Celery

__all__ = ["app"]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
app = Celery("optout")
app.config_from_object("django.conf:settings", namespace="CELERY")
