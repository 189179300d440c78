"""The rule as a table, and as properties against an independent telling of it."""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optout.decide import decide_rows
from optout.words import Decision, Outcome, SelectorKind

ALLOW, TERMS, DENY = Decision.ALLOW, Decision.TERMS, Decision.DENY
SILENT = 0


class Match(NamedTuple):
    owner: int
    kind: SelectorKind
    decision: int


def judge(*items: Sequence[Match], broken: Sequence[int] = ()) -> list[tuple[Outcome, int]]:
    status = np.zeros(len(items), np.uint8)
    status[list(broken)] = 4
    flat = [(number, match) for number, matches in enumerate(items) for match in matches]
    outcome, winner = decide_rows(
        len(items),
        status,
        np.array([number for number, _ in flat], np.int32),
        np.array([match.kind.specificity for _, match in flat], np.uint8),
        np.array([match.owner for _, match in flat], np.int64),
        np.array([match.decision for _, match in flat], np.uint8),
    )
    return [(Outcome(word), int(index)) for word, index in zip(outcome, winner, strict=True)]


def outcome_of(matches: Sequence[Match], *, broken: bool = False) -> Outcome:
    return judge(matches, broken=[0] if broken else [])[0][0]


def oracle(matches: Sequence[Match], *, broken: bool) -> Outcome:
    """DESIGN's rule, told with sets and no regard for speed."""
    words = set()
    for owner in {match.owner for match in matches}:
        own = [match for match in matches if match.owner == owner and match.decision]
        if own:
            closest = min(match.kind.specificity for match in own)
            words.add(max(match.decision for match in own if match.kind.specificity == closest))
    for decision, outcome in ((DENY, Outcome.DENIED), (TERMS, Outcome.TERMS)):
        if decision in words:
            return outcome
    if broken:
        return Outcome.ERROR
    return Outcome.ALLOWED if words else Outcome.UNRESERVED


URL, PREFIX, DOMAIN, NAME = SelectorKind.URL, SelectorKind.PREFIX, SelectorKind.DOMAIN, SelectorKind.NAME


@pytest.mark.parametrize(
    ("matches", "outcome", "winner"),
    [
        pytest.param([], Outcome.UNRESERVED, -1, id="nothing matched"),
        pytest.param([Match(1, URL, DENY)], Outcome.DENIED, 0, id="one deny"),
        pytest.param([Match(1, URL, ALLOW)], Outcome.ALLOWED, 0, id="one allow"),
        pytest.param([Match(1, URL, TERMS)], Outcome.TERMS, 0, id="terms"),
        pytest.param([Match(1, URL, SILENT)], Outcome.UNRESERVED, -1, id="a withdrawn claim is silent"),
        pytest.param([Match(1, DOMAIN, DENY), Match(1, URL, ALLOW)], Outcome.ALLOWED, 1, id="own exception"),
        pytest.param([Match(1, DOMAIN, ALLOW), Match(1, URL, DENY)], Outcome.DENIED, 1, id="own reservation"),
        pytest.param(
            [Match(1, PREFIX, DENY), Match(1, DOMAIN, ALLOW)], Outcome.DENIED, 0, id="prefix over domain"
        ),
        pytest.param(
            [Match(1, DOMAIN, ALLOW), Match(1, NAME, DENY)], Outcome.ALLOWED, 0, id="domain over name"
        ),
        pytest.param(
            [Match(1, SelectorKind.MD5, ALLOW), Match(1, URL, DENY)],
            Outcome.ALLOWED,
            0,
            id="content over url",
        ),
        pytest.param(
            [Match(1, SelectorKind.SHA256, ALLOW), Match(1, SelectorKind.MD5, DENY)],
            Outcome.DENIED,
            1,
            id="digests are equally specific, the strictest speaks",
        ),
        pytest.param([Match(1, URL, ALLOW), Match(1, URL, TERMS)], Outcome.TERMS, 1, id="tie: the strictest"),
        pytest.param(
            [Match(1, DOMAIN, DENY), Match(2, URL, ALLOW)], Outcome.DENIED, 0, id="no overruling others"
        ),
        pytest.param([Match(1, URL, TERMS), Match(2, NAME, DENY)], Outcome.DENIED, 1, id="deny beats terms"),
        pytest.param([Match(2, URL, ALLOW), Match(1, NAME, TERMS)], Outcome.TERMS, 1, id="terms beats allow"),
        pytest.param(
            [Match(1, DOMAIN, DENY), Match(1, URL, SILENT)],
            Outcome.DENIED,
            0,
            id="a silent exception excepts nothing",
        ),
        pytest.param(
            [Match(1, DOMAIN, DENY), Match(2, URL, DENY), Match(3, URL, DENY)],
            Outcome.DENIED,
            1,
            id="the most specific deny is named, then the first",
        ),
    ],
)
def test_the_rule(matches: list[Match], outcome: Outcome, winner: int) -> None:
    assert judge(matches) == [(outcome, winner)]


@pytest.mark.parametrize(
    ("matches", "outcome"),
    [
        ([], Outcome.ERROR),
        ([Match(1, URL, ALLOW)], Outcome.ERROR),
        ([Match(1, NAME, TERMS)], Outcome.TERMS),
        ([Match(1, NAME, DENY)], Outcome.DENIED),
    ],
)
def test_what_cannot_be_judged_is_an_error_unless_reserved(matches: list[Match], outcome: Outcome) -> None:
    ((found, winner),) = judge(matches, broken=[0])
    assert found == outcome
    assert winner == (-1 if outcome == Outcome.ERROR else 0)


def test_rows_are_judged_apart() -> None:
    words = [
        word for word, _ in judge([], [Match(1, URL, DENY)], [], [Match(1, URL, ALLOW)], [], broken=[2, 4])
    ]
    assert words == [Outcome.UNRESERVED, Outcome.DENIED, Outcome.ERROR, Outcome.ALLOWED, Outcome.ERROR]


def test_a_crowd_of_claims_on_one_item_is_judged_quickly() -> None:
    crowd = [Match(owner, DOMAIN, ALLOW) for owner in range(20_000)]
    assert judge([*crowd, Match(20_000, NAME, DENY)]) == [(Outcome.DENIED, 20_000)]


some_matches = st.lists(
    st.builds(
        Match,
        st.integers(0, 3),
        st.sampled_from([SelectorKind.SHA256, SelectorKind.MD5, URL, PREFIX, DOMAIN, NAME]),
        st.sampled_from([SILENT, ALLOW, TERMS, DENY]),
    ),
    max_size=8,
)


@settings(deadline=None)
@given(st.lists(st.tuples(some_matches, st.booleans()), max_size=5))
def test_it_agrees_with_the_rule_told_naively(items: list[tuple[list[Match], bool]]) -> None:
    broken = [number for number, (_, is_broken) in enumerate(items) if is_broken]
    found = judge(*[matches for matches, _ in items], broken=broken)
    assert [word for word, _ in found] == [oracle(matches, broken=is_broken) for matches, is_broken in items]


@settings(deadline=None)
@given(some_matches, st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_claims_never_matters(matches: list[Match], broken: bool, random: Random) -> None:
    shuffled = list(matches)
    random.shuffle(shuffled)
    found, at = judge(matches, broken=[0] * broken)[0]
    other, other_at = judge(shuffled, broken=[0] * broken)[0]
    assert found == other
    assert (at < 0) == (other_at < 0)
    if at >= 0:
        named, other_named = matches[at], shuffled[other_at]
        assert (named.decision, named.kind.specificity) == (
            other_named.decision,
            other_named.kind.specificity,
        )


@settings(deadline=None)
@given(some_matches, some_matches.filter(len), st.booleans())
def test_a_deny_more_changes_nothing_or_denies(matches: list[Match], more: list[Match], broken: bool) -> None:
    """One deny more either leaves the answer as it was or makes it denied, so never makes it `allowed`.

    It leaves an answer other than denied alone only where the same owner says something more specific.
    """
    deny = more[0]._replace(decision=DENY)
    before, after = outcome_of(matches, broken=broken), outcome_of([*matches, deny], broken=broken)
    assert after in (before, Outcome.DENIED)
    if after != Outcome.DENIED:
        assert any(
            match.owner == deny.owner and match.decision and match.kind.specificity < deny.kind.specificity
            for match in matches
        )


@settings(deadline=None)
@given(some_matches, some_matches, st.booleans())
def test_withdrawing_restores(matches: list[Match], withdrawn: list[Match], broken: bool) -> None:
    silenced = [match._replace(decision=SILENT) for match in withdrawn]
    assert outcome_of([*silenced, *matches], broken=broken) == outcome_of(matches, broken=broken)


@settings(deadline=None)
@given(some_matches)
def test_an_error_is_never_allowed_nor_unreserved(matches: list[Match]) -> None:
    assert outcome_of(matches, broken=True) not in (Outcome.ALLOWED, Outcome.UNRESERVED)
