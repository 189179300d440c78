"""Which claims the rows of a shard were not compared with, because the data hold nothing that could be."""

from collections.abc import Collection

from optout.filter.kinds import Job
from optout.filter.results import Counts
from optout.words import SelectorKind

__all__ = ["LACKS", "ROLES", "unasked"]

_URL = frozenset({SelectorKind.URL, SelectorKind.PREFIX, SelectorKind.DOMAIN})
_DIGESTS = frozenset({SelectorKind.SHA256, SelectorKind.MD5})
_HASHES = frozenset({SelectorKind.PICTURE, SelectorKind.PHASH, SelectorKind.PDQ})
_BY_ROLE = {
    "url": _URL,
    "text": frozenset({SelectorKind.NAME}),
    "sha256": frozenset({SelectorKind.SHA256}),
    "md5": frozenset({SelectorKind.MD5}),
    "phash": frozenset({SelectorKind.PHASH}),
    "pdq": frozenset({SelectorKind.PDQ, SelectorKind.PICTURE}),
    "image": _DIGESTS | _HASHES,
}
#: What data may say of their items.
ROLES = tuple(_BY_ROLE)
#: What data lack whose rows were not compared with claims of a kind.
LACKS = {
    **{kind.label: "URLs" for kind in _URL},
    **{kind.label: "digests" for kind in _DIGESTS},
    **{kind.label: "pictures" for kind in _HASHES},
    SelectorKind.CLIP.label: "embeddings",
    SelectorKind.NAME.label: "captions",
}


def unasked(job: Job, roles: Collection[str], rows: int, *, vectors: bool = False) -> Counts:
    """Counts with the rows that were not compared with claims of some kinds, for lack of what to compare.

    Args:
        job: what is asked of which snapshot.
        roles: which of `ROLES` the data have.
        rows: how many there are.
        vectors: whether the items' embeddings were compared.
    """
    asked = {SelectorKind.CLIP} if vectors else set[SelectorKind]()
    for role in roles:
        asked |= _BY_ROLE[role]
    if job.question.evidence == "review" and "phash" in roles:
        # A bare pHash is never more than evidence for review; else it is not looked up.
        asked.add(SelectorKind.PICTURE)
    labels = {kind.label for kind in asked}
    held = [label for label, count in sorted(job.snapshot.manifest.counts.items()) if count]
    lacking = [label for label in held if label not in labels] if rows else []
    return Counts(unasked=dict.fromkeys(lacking, rows))
