"""The flood guard: a hash that would match too many unrelated pictures is looked at by an operator first.

What is "too many" is measured on a sample: a file of fingerprints that the operator keeps, else what other
parties uploaded lately. A sample too small to tell holds nobody up.
"""

import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import structlog
from django.conf import settings

from optout.flood import flood_share, sample_probes
from optout.probes import PictureProbes
from optout.words import SelectorKind
from registry.models import Party, Upload

__all__ = ["GUARDED", "LEAST_SAMPLE", "reason_of", "reasons"]

#: Fewer pictures say nothing about one in a thousand.
LEAST_SAMPLE = 200
#: Of the registry's own uploads the newest, looked at anew after some minutes.
MOST_SAMPLE = 20_000
_FRESH_SECONDS = 600
#: The kinds that may match more than was meant.
GUARDED = frozenset({SelectorKind.PICTURE, SelectorKind.PHASH, SelectorKind.PDQ})
_log = structlog.get_logger(__name__)


class _Sample(NamedTuple):
    probes: PictureProbes
    size: int


_NOTHING = _Sample(PictureProbes.none(), 0)


def reason_of(selectors: Sequence[tuple[SelectorKind, str]], party: Party) -> str:
    """Why a claim by these selectors has to wait for an operator, as a sentence for its owner, else ""."""
    return next((reason for _, reason in reasons(selectors, party)), "")


def reasons(selectors: Sequence[tuple[SelectorKind, str]], party: Party) -> Iterator[tuple[int, str]]:
    """The place of each selector that matches too much, and why, as a sentence for its owner."""
    guarded = [(at, pair) for at, pair in enumerate(selectors) if pair[0] in GUARDED]
    sample = _sample(party) if guarded else _NOTHING
    if sample.size < LEAST_SAMPLE:
        return
    for number, share in _too_much([pair for _, pair in guarded], sample):
        _log.warning("claim_floods", share=share, party=party.handle)
        yield (
            guarded[number][0],
            f"One of its hashes resembles {share:.1%} of {sample.size:,} unrelated pictures, more than a "
            "hash of one picture should. An operator will look at it; until then the claim is not matched "
            "by its hashes.",
        )


def _too_much(
    selectors: Sequence[tuple[SelectorKind, str]], sample: _Sample, first: int = 0
) -> Iterator[tuple[int, float]]:
    """Each selector that matches too large a share, by its number counted from `first`, and the share.

    All are asked about at once, which is nearly always the end of it; else by halves.
    """
    share = flood_share(selectors, *sample)
    if share <= settings.OPTOUT_FLOOD_SHARE:
        return
    half = len(selectors) // 2
    if not half:
        yield first, share
        return
    yield from _too_much(selectors[:half], sample, first)
    yield from _too_much(selectors[half:], sample, first + half)


def _sample(party: Party) -> _Sample:
    path = settings.OPTOUT_FLOOD_SAMPLE
    if path:
        return _read(path, Path(path).stat().st_mtime)
    return _of_others(party.pk, int(time.monotonic() / _FRESH_SECONDS))


@lru_cache(maxsize=4)
def _of_others(party: int, _period: int) -> _Sample:
    newest = Upload.objects.filter(state=Upload.State.HASHED).exclude(party=party).order_by("-id")
    return _made_of(list(newest.values_list("fingerprint", flat=True)[:MOST_SAMPLE]))


@lru_cache(maxsize=1)
def _read(path: str, _changed: float) -> _Sample:
    return _made_of([line for line in Path(path).read_text().splitlines() if line.strip()])


def _made_of(fingerprints: Sequence[str]) -> _Sample:
    return _Sample(sample_probes(fingerprints), len(fingerprints))
