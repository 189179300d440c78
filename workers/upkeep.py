"""What is thrown away when its time is over."""

from datetime import timedelta

from django.utils import timezone

from registry.models import IdempotencyRecord
from workers.celery import app

__all__ = ["forget_answers"]

KEPT_ANSWERS = timedelta(days=2)
_AT_ONCE = 10_000


@app.task(name="workers.upkeep.forget_answers")
def forget_answers() -> int:
    """Delete answers kept for an Idempotency-Key more than two days ago; how many there were.

    Deleted in portions, so that no statement runs into its time-out and a repeated run goes on.
    """
    old = IdempotencyRecord.objects.filter(created_at__lt=timezone.now() - KEPT_ANSWERS).order_by("pk")
    deleted = 0
    while portion := list(old.values_list("pk", flat=True)[:_AT_ONCE]):
        deleted += IdempotencyRecord.objects.filter(pk__in=portion).delete()[0]
    return deleted
