"""The flood guard: a hash that would match too many unrelated pictures is looked at by an operator first.

What is "too many" is measured on a sample: a file of fingerprints that the operator keeps, else what other
parties uploaded lately. A sample too small to tell holds nobody up.
"""

import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import structlog
from django.conf import settings

from optout.flood import flood_share, sample_probes
from optout.probes import PictureProbes
from optout.words import SelectorKind
from registry.models import Party, Upload

__all__ = ["LEAST_SAMPLE", "reason_of"]

#: Fewer pictures say nothing about one in a thousand.
LEAST_SAMPLE = 200
#: Of the registry's own uploads the newest, looked at anew after some minutes.
MOST_SAMPLE = 20_000
_FRESH_SECONDS = 600
_GUARDED = frozenset({SelectorKind.PICTURE, SelectorKind.PHASH, SelectorKind.PDQ})
_log = structlog.get_logger(__name__)


class _Sample(NamedTuple):
    probes: PictureProbes
    size: int


_NOTHING = _Sample(PictureProbes.none(), 0)


def reason_of(selectors: Sequence[tuple[SelectorKind, str]], party: Party) -> str:
    """Why a claim by these selectors has to wait for an operator, as a sentence for its owner, else ""."""
    guarded = [pair for pair in selectors if pair[0] in _GUARDED]
    sample = _sample(party) if guarded else _NOTHING
    if sample.size < LEAST_SAMPLE:
        return ""
    share = _worst(guarded, sample)
    if not share:
        return ""
    _log.warning("claim_floods", share=share, party=party.handle)
    return (
        f"One of its hashes resembles {share:.1%} of {sample.size:,} unrelated pictures, more than a hash "
        "of one picture should. An operator will look at it; until then the claim is not matched by its "
        "hashes."
    )


def _worst(selectors: Sequence[tuple[SelectorKind, str]], sample: _Sample) -> float:
    """The share that a selector matches of which it is too much; 0 when there is none.

    Together they are asked about at once, which is nearly always the end of it; else by halves.
    """
    share = flood_share(selectors, *sample)
    if share <= settings.OPTOUT_FLOOD_SHARE:
        return 0.0
    half = len(selectors) // 2
    return (_worst(selectors[:half], sample) or _worst(selectors[half:], sample)) if half else share


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
