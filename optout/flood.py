"""How many unrelated pictures a perceptual hash would match, before it is claimed.

A hash of next to nothing (a logo on white, a map tile) passes every test of a single code and yet meets
thousands of pictures. Against a sample of unrelated ones it shows.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from optout.codes import fingerprint_probes
from optout.engine import Items, Question, Tier
from optout.exchange import parse_claims
from optout.probes import PictureProbes
from optout.snapshot import Manifest, Snapshot
from optout.words import SelectorKind, Use

__all__ = ["flood_share", "sample_probes"]

_NOTHING = Snapshot(Manifest(sip_key="00" * 16, segments=(), files={}), "", ())


def sample_probes(fingerprints: Sequence[str]) -> PictureProbes:
    """A sample of pictures, ready to be compared with any number of claims.

    What is no fingerprint meets none.
    """
    return fingerprint_probes(pa.array(fingerprints, pa.large_string()))[0]


def flood_share(selectors: Sequence[tuple[SelectorKind, str]], sample: PictureProbes, count: int) -> float:
    """The share of the sample's pictures that some of the selectors would match, in whatever tier.

    Args:
        selectors: kind and canonical value; what is not `picture`, `phash` or `pdq` matches none.
        sample: probes of unrelated pictures, numbered from 0.
        count: how many pictures the sample has.
    """
    kinds, values = [kind.label for kind, _ in selectors], [value for _, value in selectors]
    claims = parse_claims(pa.table({"selector": kinds, "value": values})).claims
    if not count or not claims.num_rows:
        return 0.0
    items, asked = Items(count, pictures=sample), Question(Use.TDM)
    verdicts = _NOTHING.with_overlay(claims).judge(items, asked, look_for=Tier.REVIEW)
    return len(np.unique(verdicts.matches.row)) / count
