"""The flood guard: a hash that would match too many unrelated pictures is looked at by an operator first.

What is "too many" is measured on a sample: a file of fingerprints that the operator keeps, else what other
parties uploaded lately. A sample too small to tell holds nobody up.
"""

import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import structlog
from django.conf import settings

from optout.hashes import parse_fingerprint
from optout.probes import probes_of_fingerprint, read_pdq, read_phash, turned_pdq, turned_phash
from optout.words import SelectorKind
from registry.models import Party, Upload

__all__ = ["LEAST_SAMPLE", "reason_of"]

#: Fewer pictures say nothing about one in a thousand.
LEAST_SAMPLE = 200
#: Of the registry's own uploads the newest, looked at anew after some minutes.
MOST_SAMPLE = 20_000
_FRESH_SECONDS = 600
#: Within how many bits a pHash proposes a pair of views, and PDQ confirms it.
_PHASH_BITS, _PDQ_BITS = 8, 31
_GUARDED = frozenset({SelectorKind.PICTURE, SelectorKind.PHASH, SelectorKind.PDQ})
_log = structlog.get_logger(__name__)

U64 = npt.NDArray[np.uint64]
Bools = npt.NDArray[np.bool_]


class _Sample(NamedTuple):
    """Views of pictures: int64[k] which picture, int64[k] whose (0: nobody's), and its hashes."""

    picture: npt.NDArray[np.int64]
    party: npt.NDArray[np.int64]
    phash: U64
    pdq: U64


def reason_of(kind: SelectorKind | int, value: str, party: Party) -> str:
    """Why a selector of `party` has to wait for an operator, as a sentence for her; "" when it need not."""
    if kind not in _GUARDED:
        return ""
    sample = _sample()
    unrelated = sample.party != party.pk
    count = len(np.unique(sample.picture[unrelated]))
    if count < LEAST_SAMPLE:
        return ""
    met = _met(SelectorKind(kind), value, sample) & unrelated
    share = len(np.unique(sample.picture[met])) / count
    if share <= settings.OPTOUT_FLOOD_SHARE:
        return ""
    _log.warning("claim_floods", kind=SelectorKind(kind).label, share=share, party=party.handle)
    return (
        f"One of its hashes resembles {share:.1%} of {count:,} unrelated pictures, more than a hash of "
        "one picture should. An operator will look at it; until then the claim is not matched by its hashes."
    )


def _met(kind: SelectorKind, value: str, sample: _Sample) -> Bools:
    """Which views of the sample the selector would match in one of the eight orientations."""
    match kind:
        case SelectorKind.PICTURE:
            probes = probes_of_fingerprint(0, value)
            pairs = zip(probes.phash, probes.pdq, strict=True)
            found = [_near_phash(sample, phash) & _near_pdq(sample, pdq) for phash, pdq in pairs]
        case SelectorKind.PHASH:
            turned = turned_phash(np.array([read_phash(value)], np.uint64))[:, 0]
            found = [_near_phash(sample, phash) for phash in turned]
        case _:
            found = [
                _near_pdq(sample, pdq) for pdq in turned_pdq(np.array([read_pdq(value)], np.uint64))[:, 0]
            ]
    met: Bools = np.logical_or.reduce(found)
    return met


def _near_phash(sample: _Sample, phash: np.uint64) -> Bools:
    near: Bools = np.bitwise_count(sample.phash ^ phash) <= _PHASH_BITS
    return near


def _near_pdq(sample: _Sample, pdq: U64) -> Bools:
    near: Bools = np.bitwise_count(sample.pdq ^ pdq).sum(axis=1, dtype=np.int64) <= _PDQ_BITS
    return near


def _sample() -> _Sample:
    path = settings.OPTOUT_FLOOD_SAMPLE
    if path:
        return _read(path, Path(path).stat().st_mtime)
    return _uploaded(int(time.monotonic() / _FRESH_SECONDS))


@lru_cache(maxsize=1)
def _uploaded(_period: int) -> _Sample:
    newest = Upload.objects.filter(state=Upload.State.HASHED).order_by("-id")
    return _sample_of(list(newest.values_list("party", "fingerprint")[:MOST_SAMPLE]))


@lru_cache(maxsize=1)
def _read(path: str, _changed: float) -> _Sample:
    return _sample_of([(0, line) for line in Path(path).read_text().splitlines() if line.strip()])


def _sample_of(pictures: Sequence[tuple[int, str]]) -> _Sample:
    views = [
        (number, party, view)
        for number, (party, fingerprint) in enumerate(pictures)
        for view in parse_fingerprint(fingerprint)
    ]
    return _Sample(
        np.array([number for number, *_ in views], np.int64),
        np.array([party for _, party, _ in views], np.int64),
        np.array([read_phash(view.phash) for *_, view in views], np.uint64),
        np.array([read_pdq(view.pdq) for *_, view in views], np.uint64).reshape(-1, 4),
    )
