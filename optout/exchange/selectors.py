"""Canonical values of selectors: one at a time, and a whole column at once."""

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from optout import locators
from optout.errors import InvalidSelector
from optout.names.fold import validate_name
from optout.words import SelectorKind

__all__ = ["DIGEST_LENGTHS", "SUPPORTED_KINDS", "canonical_values", "validate_selector"]

DIGEST_LENGTHS = {SelectorKind.SHA256: 64, SelectorKind.MD5: 32}
SUPPORTED_KINDS = frozenset(
    {SelectorKind.URL, SelectorKind.PREFIX, SelectorKind.DOMAIN, SelectorKind.NAME, *DIGEST_LENGTHS}
)
#: Below this, compiled code is not worth loading.
_FEW = 200


def validate_selector(kind: SelectorKind, value: str) -> str:
    """The canonical form of one selector's value.

    Raises:
        InvalidSelector: the value cannot stand for anything, or the kind is not taken yet
            (code `kind_not_supported`); the message is a sentence for the person who sent it.
    """
    value = value.strip()
    if kind in DIGEST_LENGTHS:
        return _validate_digest(kind, value)
    match kind:
        case SelectorKind.URL:
            return locators.canonical(value)
        case SelectorKind.PREFIX:
            return locators.canonical_prefix(value)
        case SelectorKind.DOMAIN:
            return locators.canonical_domain(value)
        case SelectorKind.NAME:
            return validate_name(value)
    raise InvalidSelector(f"selectors of kind {kind.label!r} are not taken yet", code="kind_not_supported")


def _validate_digest(kind: SelectorKind, value: str) -> str:
    length = DIGEST_LENGTHS[kind]
    if not re.fullmatch(rf"[0-9a-fA-F]{{{length}}}", value):
        raise InvalidSelector(f"a {kind.label} digest has {length} hexadecimal digits", code="invalid_digest")
    return value.lower()


def canonical_values(kind: SelectorKind, values: pa.LargeStringArray) -> pa.LargeStringArray:
    """Canonical forms of a column without nulls; null where `validate_selector` would raise."""
    if kind in DIGEST_LENGTHS:
        good = pc.match_substring_regex(values, rf"\A[0-9a-fA-F]{{{DIGEST_LENGTHS[kind]}}}\z")
        return pc.if_else(good, pc.ascii_lower(values), pa.scalar(None, pa.large_string()))
    if kind == SelectorKind.URL and len(values) > _FEW:
        from optout.locators.kernel import canonicalise

        return canonicalise(values)[0]
    return _each_distinct(kind, values)


def _each_distinct(kind: SelectorKind, values: pa.LargeStringArray) -> pa.LargeStringArray:
    """Domains, prefixes and names repeat (one row a work, one owner's name), so each is judged once."""
    encoded = values.dictionary_encode()
    judged = pa.array([_or_none(kind, value) for value in encoded.dictionary.to_pylist()], pa.large_string())
    indices: npt.NDArray[np.int32] = encoded.indices.to_numpy()
    return judged.take(pa.array(indices))


def _or_none(kind: SelectorKind, value: str) -> str | None:
    try:
        return validate_selector(kind, value)
    except InvalidSelector:
        return None
