"""How many unrelated pictures a perceptual hash or an embedding would match, before it is claimed.

A hash of next to nothing (a logo on white, a map tile) passes every test of a single code and yet meets
thousands of pictures; so may the embedding of a blank sheet, or one that somebody made to. Against a sample
of unrelated ones it shows.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from optout.codes import fingerprint_probes
from optout.embeddings.value import parse_embedding
from optout.engine import Items, Question, Tier
from optout.errors import InvalidSelector
from optout.exchange import parse_claims
from optout.probes import Embeddings, PictureProbes
from optout.snapshot import Manifest, Snapshot
from optout.words import SelectorKind, Use

__all__ = ["Sample", "flood_share", "make_sample"]

_EMBEDDING = "oce1:"


class Sample(NamedTuple):
    """A sample of unrelated pictures, ready to be compared with any number of claims.

    Attributes:
        probes: their perceptual hashes, numbered from 0.
        pictures: how many pictures those are.
        embeddings: by model and dimension, of other pictures perhaps.
    """

    probes: PictureProbes
    pictures: int
    embeddings: Mapping[tuple[str, int], Embeddings]

    def size(self, kind: SelectorKind, value: str) -> int:
        """How many pictures a selector can be compared with; 0 for kinds that are not compared."""
        if kind is SelectorKind.CLIP:
            held = self.embeddings.get(_model(value))
            return 0 if held is None else len(held.vectors)
        return self.pictures if kind in (SelectorKind.PICTURE, SelectorKind.PHASH, SelectorKind.PDQ) else 0


def make_sample(values: Sequence[str]) -> Sample:
    """A sample made of fingerprints and embeddings, as `optout hash` and `optout embed` print them.

    What is no fingerprint is a picture that nothing matches; what is no embedding is left out.
    """
    fingerprints = [value for value in values if not value.startswith(_EMBEDDING)]
    probes = fingerprint_probes(pa.array(fingerprints, pa.large_string()))[0]
    vectors: dict[tuple[str, int], list[Any]] = {}
    for value in values:
        if value.startswith(_EMBEDDING):
            try:
                parsed = parse_embedding(value)
            except InvalidSelector:
                continue
            vectors.setdefault((parsed.model, len(parsed.vector)), []).append(parsed.vector)
    return Sample(
        probes,
        len(fingerprints),
        {
            key: Embeddings(key[0], np.stack(held), np.ones(len(held), np.bool_))
            for key, held in vectors.items()
        },
    )


def flood_share(
    selectors: Sequence[tuple[SelectorKind, str]],
    sample: Sample,
    models: Sequence[Mapping[str, Any]] = (),
) -> float:
    """The share of the sample's pictures that some of the selectors would match, in whatever tier.

    Where selectors are compared with several parts of the sample (its hashes, its embeddings by each model),
    the largest share of any.

    Args:
        selectors: kind and canonical value; what is not `picture`, `phash`, `pdq` or `clip` matches none.
        sample: unrelated pictures.
        models: records of embedding models, which have their thresholds; defaults for others.
    """
    kinds, values = [kind.label for kind, _ in selectors], [value for _, value in selectors]
    claims = parse_claims(pa.table({"selector": kinds, "value": values})).claims
    if not claims.num_rows:
        return 0.0
    manifest = Manifest(sip_key="00" * 16, segments=(), files={}, models=tuple(models))
    snapshot = Snapshot(manifest, "", ()).with_overlay(claims)
    claimed = {_model(value) for kind, value in selectors if kind is SelectorKind.CLIP}
    parts = [Items(sample.pictures, pictures=sample.probes)] if sample.pictures else []
    parts += [
        Items(len(held.vectors), embeddings=(held,), url_optional=True)
        for model, held in sample.embeddings.items()
        if model in claimed
    ]
    return max((_share(snapshot, items) for items in parts), default=0.0)


def _share(snapshot: Snapshot, items: Items) -> float:
    verdicts = snapshot.judge(items, Question(Use.TDM), look_for=Tier.REVIEW)
    return len(np.unique(verdicts.matches.row)) / items.length


def _model(value: str) -> tuple[str, int]:
    """The model and the dimension of an embedding; none of what is no embedding."""
    try:
        parsed = parse_embedding(value)
    except InvalidSelector:
        return "", 0
    return parsed.model, len(parsed.vector)
