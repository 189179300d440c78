"""Expressions that several tables' CHECK constraints share."""

from django.db.models import BooleanField, ExpressionWrapper, F, Func, IntegerField, Q
from django.db.models.lookups import Exact, Range

__all__ = ["matching", "no_control_characters", "octets", "octets_between"]


def _octet_length(field: str) -> Func:
    return Func(F(field), function="octet_length", output_field=IntegerField())


def octets(field: str, length: int) -> Exact:
    """That the bytes in `field` number exactly `length`."""
    return Exact(_octet_length(field), length)


def octets_between(field: str, least: int, most: int) -> Range:
    """That the bytes in `field` number from `least` to `most`, both included."""
    return Range(_octet_length(field), (least, most))


def no_control_characters(field: str) -> Q:
    """That a text holds neither line breaks nor other control characters (by number: no locale has a say)."""
    return ~Q(**{f"{field}__regex": r"[\u0001-\u001f\u007f]"})


def matching(flag: Q, field: str) -> "ExpressionWrapper[Q]":
    """That `field` is set exactly when `flag` holds."""
    return ExpressionWrapper(
        (flag & Q(**{f"{field}__isnull": False})) | (~flag & Q(**{f"{field}__isnull": True})),
        output_field=BooleanField(),
    )
