"""What is thrown away, and what is not."""

from datetime import timedelta

import pytest
from django.utils import timezone

from registry.models import IdempotencyRecord
from registry.services.parties import create_party
from workers.celery import app
from workers.upkeep import KEPT_ANSWERS, forget_answers

pytestmark = pytest.mark.django_db


def test_old_answers_are_forgotten_and_new_ones_kept() -> None:
    party = create_party(None, "organisation", "A gallery")
    for number, age in enumerate((timedelta(0), KEPT_ANSWERS - timedelta(minutes=1), KEPT_ANSWERS * 2)):
        record = IdempotencyRecord.objects.create(party=party, key=f"key-{number}", request_digest=b"d" * 32)
        IdempotencyRecord.objects.filter(pk=record.pk).update(created_at=timezone.now() - age)
    assert [forget_answers(), forget_answers()] == [1, 0]
    assert list(IdempotencyRecord.objects.order_by("key").values_list("key", flat=True)) == ["key-0", "key-1"]


def test_everything_on_the_clock_is_a_task() -> None:
    app.loader.import_default_modules()
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} <= set(app.tasks)
