"""Canonical values of selectors: one at a time, and a whole column at once."""

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from optout import locators
from optout.codes import PDQ_DIGITS, PHASH_DIGITS, read_digits
from optout.embeddings.value import format_embedding, parse_embedding
from optout.errors import InvalidSelector
from optout.evidence import current_evidence
from optout.hashing.fingerprint import TOO_PLAIN, format_fingerprint, is_evidence, parse_fingerprint
from optout.names.fold import validate_name
from optout.words import SelectorKind

__all__ = ["DIGEST_LENGTHS", "SUPPORTED_KINDS", "canonical_values", "validate_selector"]

DIGEST_LENGTHS = {SelectorKind.SHA256: 64, SelectorKind.MD5: 32}
_HASH_LENGTHS = {SelectorKind.PHASH: PHASH_DIGITS, SelectorKind.PDQ: PDQ_DIGITS}
SUPPORTED_KINDS = frozenset(
    {
        SelectorKind.URL,
        SelectorKind.PREFIX,
        SelectorKind.DOMAIN,
        SelectorKind.NAME,
        SelectorKind.PICTURE,
        SelectorKind.CLIP,
        *DIGEST_LENGTHS,
        *_HASH_LENGTHS,
    }
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
    if kind in _HASH_LENGTHS:
        return _validate_hash(kind, value)
    match kind:
        case SelectorKind.URL:
            return locators.canonical(value)
        case SelectorKind.PREFIX:
            return locators.canonical_prefix(value)
        case SelectorKind.DOMAIN:
            return locators.canonical_domain(value)
        case SelectorKind.NAME:
            return validate_name(value)
        case SelectorKind.PICTURE:
            return _validate_fingerprint(value)
        case SelectorKind.CLIP:
            return format_embedding(*parse_embedding(value))
    raise InvalidSelector(f"selectors of kind {kind.label!r} are not taken yet", code="kind_not_supported")


def _validate_digest(kind: SelectorKind, value: str) -> str:
    length = DIGEST_LENGTHS[kind]
    if not re.fullmatch(rf"[0-9a-fA-F]{{{length}}}", value):
        raise InvalidSelector(f"a {kind.label} digest has {length} hexadecimal digits", code="invalid_digest")
    return value.lower()


def _validate_hash(kind: SelectorKind, value: str) -> str:
    length = _HASH_LENGTHS[kind]
    if not re.fullmatch(rf"[0-9a-fA-F]{{{length}}}", value):
        raise InvalidSelector(f"a {kind.label} has {length} hexadecimal digits", code="invalid_hash")
    if not _usable(kind, pa.array([value.lower()], pa.large_string()))[0]:
        raise InvalidSelector(TOO_PLAIN, code="degenerate_hash")
    return value.lower()


def _usable(kind: SelectorKind, texts: pa.LargeStringArray) -> npt.NDArray[np.bool_]:
    """Which bare hashes in lower case say something about their picture."""
    codes, evidence = read_digits(texts, _HASH_LENGTHS[kind]), current_evidence()
    return evidence.usable_phash(codes[:, 0]) if kind == SelectorKind.PHASH else evidence.usable_pdq(codes)


def _validate_fingerprint(value: str) -> str:
    views = parse_fingerprint(value)
    if not any(map(is_evidence, views)):
        raise InvalidSelector(TOO_PLAIN, code="degenerate_hash")
    return format_fingerprint(views)


def canonical_values(kind: SelectorKind, values: pa.LargeStringArray) -> pa.LargeStringArray:
    """Canonical forms of a column without nulls; null where `validate_selector` would raise."""
    if kind in DIGEST_LENGTHS:
        good = pc.match_substring_regex(values, rf"\A[0-9a-fA-F]{{{DIGEST_LENGTHS[kind]}}}\z")
        return pc.if_else(good, pc.ascii_lower(values), pa.scalar(None, pa.large_string()))
    if kind in _HASH_LENGTHS:
        return _canonical_hashes(kind, values)
    if kind == SelectorKind.URL and len(values) > _FEW:
        from optout.locators.kernel import canonicalise

        return canonicalise(values)[0]
    return _each_distinct(kind, values)


def _canonical_hashes(kind: SelectorKind, values: pa.LargeStringArray) -> pa.LargeStringArray:
    lower = pc.ascii_lower(values)
    good = np.asarray(pc.match_substring_regex(lower, rf"\A[0-9a-f]{{{_HASH_LENGTHS[kind]}}}\z")).copy()
    good[good] = _usable(kind, lower.filter(pa.array(good)))
    return pc.if_else(pa.array(good), lower, pa.scalar(None, pa.large_string()))


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
