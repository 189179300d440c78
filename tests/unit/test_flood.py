"""The share of a sample that a hash would match."""

import pytest

from optout.flood import flood_share, sample_probes
from optout.words import SelectorKind
from tests.unit.picture_support import fingerprint, view

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
    assert flood_share([(kind, value)], sample_probes(SAMPLE), len(SAMPLE)) == pytest.approx(share)


def test_what_is_no_fingerprint_meets_nothing() -> None:
    sample = ["", "ofp1:", fingerprint(view(7))]
    claimed = [(SelectorKind.PICTURE, fingerprint(view(7)))]
    assert flood_share(claimed, sample_probes(sample), 3) == pytest.approx(1 / 3)


def test_an_empty_sample_says_nothing() -> None:
    assert flood_share([(SelectorKind.PICTURE, fingerprint(view(7)))], sample_probes([]), 0) == 0.0
    assert flood_share([], sample_probes(SAMPLE), len(SAMPLE)) == 0.0


def test_several_selectors_are_asked_about_together() -> None:
    claimed = [(SelectorKind.PICTURE, fingerprint(view(number))) for number in (7, 8, 1001, 1002)]
    assert flood_share(claimed, sample_probes(SAMPLE), len(SAMPLE)) == pytest.approx(0.21)
