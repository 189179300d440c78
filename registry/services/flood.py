"""The flood guard: what would match too many unrelated pictures is looked at by an operator first.

That may be a hash or an embedding. What is "too many" is measured on a sample: a file of fingerprints and
embeddings that the operator keeps, else what other parties uploaded lately. A sample too small to tell holds
nobody up.
"""

import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import structlog
from django.conf import settings

from optout.flood import Sample, flood_share, make_sample
from optout.words import SelectorKind
from registry.models import ClipModel, Party, Selector, Upload

__all__ = ["GUARDED", "LEAST_SAMPLE", "reason_of", "reasons"]

#: Fewer pictures say nothing about one in a thousand.
LEAST_SAMPLE = 200
#: Of the registry's own uploads the newest, looked at anew after some minutes.
MOST_SAMPLE = 20_000
_FRESH_SECONDS = 600
#: The kinds that may match more than was meant.
GUARDED = frozenset({SelectorKind.PICTURE, SelectorKind.PHASH, SelectorKind.PDQ, SelectorKind.CLIP})
_log = structlog.get_logger(__name__)


def reason_of(selectors: Sequence[tuple[SelectorKind, str]], party: Party) -> str:
    """Why a claim by these selectors has to wait for an operator, as a sentence for its owner, else ""."""
    return next((reason for _, reason in reasons(selectors, party)), "")


def reasons(selectors: Sequence[tuple[SelectorKind, str]], party: Party) -> Iterator[tuple[int, str]]:
    """The place of each selector that matches too much, and why, as a sentence for its owner."""
    guarded = [(at, pair) for at, pair in enumerate(selectors) if pair[0] in GUARDED]
    if not guarded:
        return
    sample = _sample(party)
    guarded = [(at, pair) for at, pair in guarded if sample.size(*pair) >= LEAST_SAMPLE]
    for number, share in _too_much([pair for _, pair in guarded], sample):
        at, pair = guarded[number]
        _log.warning("claim_floods", share=share, party=party.handle, kind=pair[0].label)
        what = "embeddings" if pair[0] is SelectorKind.CLIP else "hashes"
        yield (
            at,
            f"One of its {what} resembles {share:.1%} of {sample.size(*pair):,} unrelated pictures, more "
            "than that of one picture should. An operator will look at it; until then the claim is not "
            "matched by its hashes and embeddings.",
        )


def _too_much(
    selectors: Sequence[tuple[SelectorKind, str]], sample: Sample, first: int = 0
) -> Iterator[tuple[int, float]]:
    """Each selector that matches too large a share, by its number counted from `first`, and the share.

    All are asked about at once, which is nearly always the end of it; else by halves.
    """
    models = list(ClipModel.objects.values_list("record", flat=True))
    share = flood_share(selectors, sample, models)
    if share <= settings.OPTOUT_FLOOD_SHARE:
        return
    half = len(selectors) // 2
    if not half:
        yield first, share
        return
    yield from _too_much(selectors[:half], sample, first)
    yield from _too_much(selectors[half:], sample, first + half)


def _sample(party: Party) -> Sample:
    path = settings.OPTOUT_FLOOD_SAMPLE
    if path:
        return _read(path, Path(path).stat().st_mtime)
    return _of_others(party.pk, int(time.monotonic() / _FRESH_SECONDS))


@lru_cache(maxsize=4)
def _of_others(party: int, _period: int) -> Sample:
    newest = Upload.objects.filter(state=Upload.State.HASHED).exclude(party=party).order_by("-id")
    values = list(newest.values_list("fingerprint", flat=True)[:MOST_SAMPLE])
    embedded = newest.filter(embedding=Upload.Embedding.DONE).values_list("claim_id", "clip_digest")
    claims, digests = zip(*embedded[:MOST_SAMPLE], strict=True) if embedded.exists() else ((), ())
    clips = Selector.objects.filter(claim__in=set(claims), kind=SelectorKind.CLIP, digest__in=digests)
    return make_sample([*values, *clips.values_list("value", flat=True)])


@lru_cache(maxsize=1)
def _read(path: str, _changed: float) -> Sample:
    return make_sample([line.strip() for line in Path(path).read_text().splitlines() if line.strip()])
