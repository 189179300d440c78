"""A bounded view of claims' selectors: an imported claim may have millions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import Count, Q

from optout.words import SelectorKind
from registry.models import Claim, Selector, Upload, selector_digest

__all__ = ["PictureCounts", "ShownSelectors", "made_here", "picture_counts", "shown_selectors"]


@dataclass(frozen=True)
class ShownSelectors:
    """The first selectors of a claim in the table's order.

    Attributes:
        pairs: kind and canonical value.
        count: how many the claim has in all.
    """

    pairs: Sequence[tuple[SelectorKind, str]]
    count: int


def shown_selectors(claims: Sequence[Claim], *, most: int) -> dict[int, ShownSelectors]:
    """For each claim, by primary key, at most `most` of its selectors; reads no more than that.

    Only claims that have more are counted.
    """
    pairs: dict[int, list[tuple[SelectorKind, str]]] = {claim.pk: [] for claim in claims}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT claim, kind, value
            FROM unnest(%s::bigint[]) AS claim CROSS JOIN LATERAL (
                SELECT kind, digest, value FROM registry_selector
                WHERE claim_id = claim ORDER BY kind, digest LIMIT %s
            ) AS first
            ORDER BY claim, kind, digest
            """,
            [list(pairs), most + 1],
        )
        for claim, kind, value in cursor:
            pairs[claim].append((SelectorKind(kind), value))
    return {claim: ShownSelectors(found[:most], _count(claim, found, most)) for claim, found in pairs.items()}


@dataclass(frozen=True)
class PictureCounts:
    """How many pictures of a claim wait, were hashed, and cannot be."""

    waiting: int = 0
    hashed: int = 0
    parked: int = 0


def picture_counts(claims: Sequence[Claim]) -> dict[int, PictureCounts]:
    """The counts of each claim, by primary key."""
    states = Upload.State
    rows = (
        Upload.objects.filter(claim__in=claims)
        .values("claim")
        .annotate(
            waiting=Count("pk", filter=Q(state__in=[states.QUEUED, states.HASHING])),
            hashed=Count("pk", filter=Q(state=states.HASHED)),
            parked=Count("pk", filter=Q(state=states.PARKED)),
        )
    )
    found = {row["claim"]: PictureCounts(row["waiting"], row["hashed"], row["parked"]) for row in rows}
    return {claim.pk: found.get(claim.pk, PictureCounts()) for claim in claims}


def made_here(claims: Sequence[Claim], pairs: Iterable[tuple[SelectorKind, str]]) -> set[tuple[int, str]]:
    """Which of these selectors of the claims follow from a picture that the registry hashed itself.

    Others were computed by whoever registered the claim, and nobody has seen the picture.
    """
    values: dict[SelectorKind, list[str]] = {}
    for kind, value in pairs:
        values.setdefault(kind, []).append(value)
    digests = {selector_digest(value): value for value in values.get(SelectorKind.CLIP, ())}
    fields = {SelectorKind.SHA256: "sha256", SelectorKind.MD5: "md5", SelectorKind.PICTURE: "fingerprint"}
    wanted = Q(clip_digest__in=list(digests))
    for kind, field in fields.items():
        wanted |= Q(**{f"{field}__in": values.get(kind, [])})
    uploads = Upload.objects.filter(wanted, claim__in=claims, state=Upload.State.HASHED)
    made: set[tuple[int, str]] = set()
    for upload in uploads.only("claim_id", "clip_digest", *fields.values()):
        made |= {(upload.claim_id, getattr(upload, field)) for field in fields.values()}
        if upload.clip_digest in digests:
            made.add((upload.claim_id, digests[upload.clip_digest]))
    return made


def _count(claim: int, found: Sequence[object], most: int) -> int:
    return len(found) if len(found) <= most else Selector.objects.filter(claim_id=claim).count()
