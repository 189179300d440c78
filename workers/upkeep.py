"""What is thrown away when its time is over."""

from datetime import timedelta

from django.utils import timezone

from registry.models import IdempotencyRecord, Upload
from registry.services.pictures import clear_abandoned, clear_stored
from workers.celery import app

__all__ = ["clear_pictures", "forget_answers"]

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


@app.task(name="workers.upkeep.clear_pictures")
def clear_pictures() -> int:
    """Remove stored pictures that nothing needs any more, and those no upload knows; how many there were.

    Most are gone right after they were hashed; these are what a killed worker or an absent store left behind.
    """
    cleared = 0
    for upload in Upload.objects.to_clear().exclude(reason_code="crashed").iterator(chunk_size=500):
        clear_stored(upload)
        cleared += 1
    return cleared + clear_abandoned()
