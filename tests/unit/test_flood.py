"""The share of a sample that a hash would match."""

import pytest

from optout.flood import flood_share, make_sample
from optout.words import SelectorKind
from tests.unit.picture_support import embedding, fingerprint, view

#: Every fifth picture is one that has been seen everywhere.
SAMPLE = [
    fingerprint(view(7, pdq=number % 60) if number % 5 == 0 else view(1000 + number)) for number in range(200)
]


@pytest.mark.parametrize(
    ("kind", "value", "share"),
    [
        (SelectorKind.PICTURE, fingerprint(view(7)), 0.2),
        (SelectorKind.PICTURE, fingerprint(view(8), view(7, name="centre")), 0.2),
        (SelectorKind.PICTURE, fingerprint(view(8)), 0.0),
        (SelectorKind.PHASH, view(7, phash=4).phash, 0.2),
        (SelectorKind.PDQ, view(7).pdq, 0.2),
        (SelectorKind.PDQ, view(8).pdq, 0.0),
        (SelectorKind.PICTURE, fingerprint(view(1001)), 0.005),
        (SelectorKind.DOMAIN, "example.org", 0.0),
    ],
)
def test_the_share_is_of_pictures_that_would_be_matched(kind: SelectorKind, value: str, share: float) -> None:
    assert flood_share([(kind, value)], make_sample(SAMPLE)) == pytest.approx(share)


def test_what_is_no_fingerprint_meets_nothing() -> None:
    sample = ["", "ofp1:", fingerprint(view(7))]
    claimed = [(SelectorKind.PICTURE, fingerprint(view(7)))]
    assert flood_share(claimed, make_sample(sample)) == pytest.approx(1 / 3)


def test_an_empty_sample_says_nothing() -> None:
    assert flood_share([(SelectorKind.PICTURE, fingerprint(view(7)))], make_sample([])) == 0.0
    assert flood_share([], make_sample(SAMPLE)) == 0.0


def test_several_selectors_are_asked_about_together() -> None:
    claimed = [(SelectorKind.PICTURE, fingerprint(view(number))) for number in (7, 8, 1001, 1002)]
    assert flood_share(claimed, make_sample(SAMPLE)) == pytest.approx(0.21)


OTHER = "ViT-L/14@0123456789abcdef"
#: Of every five embeddings by one model one is of a blank sheet; those by the other have nothing in common.
EMBEDDED = [embedding(7, near=0.1) if number % 5 == 0 else embedding(100 + number) for number in range(200)]
EMBEDDED += [embedding(300 + number, model=OTHER) for number in range(50)]


@pytest.mark.parametrize(
    ("value", "size", "share"),
    [
        (embedding(7), 200, 0.2),
        (embedding(8), 200, 0.0),
        (embedding(7, model=OTHER), 50, 0.0),
        (embedding(301, model=OTHER), 50, 0.02),
        (embedding(7, model="ViT-B/16@0123456789abcdef"), 0, 0.0),
    ],
)
def test_embeddings_are_compared_within_their_model(value: str, size: int, share: float) -> None:
    sample = make_sample([*SAMPLE, *EMBEDDED, "oce1:nothing"])
    assert sample.size(SelectorKind.CLIP, value) == size
    assert flood_share([(SelectorKind.CLIP, value)], sample) == pytest.approx(share)


def test_the_thresholds_of_a_models_record_count() -> None:
    claimed = [(SelectorKind.CLIP, embedding(7))]
    record = {"id": "ViT-B/32@0123456789abcdef", "thresholds": {"match": 0.9999, "review": 0.9998}}
    assert flood_share(claimed, make_sample(EMBEDDED), [record]) == 0.0


def test_hashes_and_embeddings_together_come_to_the_larger_share() -> None:
    claimed = [(SelectorKind.PICTURE, fingerprint(view(1001))), (SelectorKind.CLIP, embedding(7))]
    assert flood_share(claimed, make_sample([*SAMPLE, *EMBEDDED])) == pytest.approx(0.2)
