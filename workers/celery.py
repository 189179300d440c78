"""The Celery application: its tasks, their schedule, their logs and their counters."""

import os
import pkgutil
from pathlib import Path
from typing import Any

from celery import Celery, signals
from django_structlog.celery.steps import DjangoStructLogInitStep
from prometheus_client import Counter

__all__ = ["app"]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
_MODULES = [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])]
_EVERY_MINUTE = 60.0
_EVERY_HOUR = 3600.0

app = Celery("optout", include=[f"workers.{name}" for name in _MODULES if name != "celery"])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = {
    # One that could not run within its minute is overtaken by the next.
    "build-snapshot": {
        "task": "workers.snapshots.build",
        "schedule": _EVERY_MINUTE,
        "options": {"expires": _EVERY_MINUTE},
    },
    "sweep-imports": {
        "task": "workers.imports.sweep",
        "schedule": _EVERY_MINUTE,
        "options": {"expires": _EVERY_MINUTE},
    },
    "sweep-pictures": {
        "task": "workers.hashing.sweep",
        "schedule": _EVERY_MINUTE,
        "options": {"expires": _EVERY_MINUTE},
    },
    "clear-pictures": {"task": "workers.upkeep.clear_pictures", "schedule": _EVERY_HOUR},
    "forget-answers": {"task": "workers.upkeep.forget_answers", "schedule": _EVERY_HOUR},
}
# Binds the request id and the task's name to every line a task logs.
app.steps["worker"].add(DjangoStructLogInitStep)

TASKS = Counter("optout_tasks", "Tasks by name and what became of them.", ["task", "state"])


@signals.task_prerun.connect
def _count_started(task: Any, **_: Any) -> None:
    TASKS.labels(task.name, "started").inc()


@signals.task_success.connect
def _count_done(sender: Any, **_: Any) -> None:
    TASKS.labels(sender.name, "done").inc()


@signals.task_retry.connect
def _count_retried(sender: Any, **_: Any) -> None:
    TASKS.labels(sender.name, "retried").inc()


@signals.task_failure.connect
def _count_failed(sender: Any, **_: Any) -> None:
    TASKS.labels(sender.name, "failed").inc()
