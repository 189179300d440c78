from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optout.engine import Question
from optout.errors import DoesNotHold, UsageError
from optout.snapshot import Snapshot, build_delta, open_snapshot, verify_snapshot
from optout.words import Use
from tests.unit.picture_support import embedding, fingerprint, view
from tests.unit.snapshot_support import KEY, Row, built, claim, content, table

ASKED = Question(Use.AI_TRAIN)
OWNERS = ("ann", "bob", "cy")
VALUES = {
    "url": ["example.org/a.jpg", "example.org/a-300x200.jpg", "example.org/b.jpg"],
    "prefix": ["example.org/gallery", "example.net"],
    "domain": ["example.net", "sub.example.net"],
    "sha256": ["ab" * 32, "ac" * 32],
    "name": ["greta garbo", "greta lovisa gustafsson"],
    "picture": [fingerprint(view(1), view(2, name="centre")), fingerprint(view(1, pdq=9))],
    "phash": [view(1).phash, view(3).phash],
    "pdq": [view(2).pdq, view(3, pdq=6).pdq],
    "clip": [embedding(1), embedding(1, model="sscd-320@00"), embedding(2, near=1)],
}
ITEMS: list[dict[str, str]] = [
    {"url": "https://example.org/a.jpg", "text": "Greta Garbo"},
    {"url": "https://example.org/a-150x150.jpg"},
    {"url": "https://i0.wp.com/example.org/b.jpg", "sha256": "AB" * 32},
    {"url": "https://example.org/gallery/1", "text": "miss greta lovisa gustafsson herself"},
    {"url": "https://sub.example.net/", "sha256": "ac" * 32},
    {"url": "https://else.example/"},
    {"picture": fingerprint(view(1, phash=2, pdq=12), view(2, name="stripped", pdq=40))},
    {"pdq": view(3).pdq, "phash": view(3, phash=4).phash},
    {"clip": embedding(1)},
    {"clip": embedding(2)},
]

SELECTORS = [(kind, value) for kind, values in VALUES.items() for value in values]
CLAIMS = st.lists(
    st.builds(
        lambda selector, **stated: claim(*selector, **stated),
        st.sampled_from(SELECTORS),
        decision=st.sampled_from(["deny", "allow", "terms"]),
        owner=st.sampled_from(OWNERS),
        title=st.sampled_from(["", "A title"]),
    ),
    max_size=8,
)


def answers(snapshot: Snapshot) -> list[dict[str, Any]]:
    """What the snapshot says, without which snapshot said it; reasons in an order of their own."""
    given = snapshot.check(ITEMS, ASKED)
    for answer in given:
        for group in ("reasons", "flags"):
            for reason in answer[group]:
                del reason["snapshot"]
            answer[group].sort(key=lambda reason: sorted((key, str(value)) for key, value in reason.items()))
    return given


@settings(max_examples=30, deadline=None)
@given(CLAIMS, CLAIMS, CLAIMS, st.data())
def test_deltas_and_overlays_answer_like_a_snapshot_built_anew(
    tmp_path_factory: pytest.TempPathFactory,
    old: list[Row],
    new: list[Row],
    newer: list[Row],
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("delta")
    known = [row["claim_id"] for row in [*old, *new]] or [b"?" * 16]
    gone = data.draw(st.lists(st.sampled_from(known), max_size=3))
    rest = [row for row in [*old, *new] if row["claim_id"] not in gone]
    anew = built(folder / "anew", *rest, *newer)
    base = built(folder / "base", *old)
    build_delta(folder / "base", [table(new)], [], folder / "one", private_key=KEY)
    build_delta(folder / "one", [table(newer)], gone, folder / "two", private_key=KEY)
    verify_snapshot(folder / "two", trust=[KEY.public])
    overlay = open_snapshot(folder / "one").with_overlay(table(newer), gone)
    assert answers(open_snapshot(folder / "two")) == answers(anew)
    assert answers(overlay) == answers(anew)
    assert answers(base.with_overlay(table([]))) == answers(base)


def test_a_delta_shares_the_files_it_carries_on(tmp_path: Path) -> None:
    before = built(tmp_path / "base", claim("url", "example.org/a.jpg"))
    manifest = build_delta(
        tmp_path / "base",
        [table([claim("url", "example.org/b.jpg")])],
        [],
        tmp_path / "next",
        private_key=KEY,
    )
    assert manifest.previous == before.digest
    assert [segment.name[:10] for segment in manifest.segments] == ["0000-base-", "0001-delta"]
    for name in before.manifest.files:
        assert (tmp_path / "base" / name).samefile(tmp_path / "next" / name)
    assert {n: e for n, e in manifest.files.items() if n in before.manifest.files} == before.manifest.files


def test_a_withdrawal_rebuilds_nothing(tmp_path: Path) -> None:
    gone = claim("url", "example.org/a.jpg")
    before = built(tmp_path / "base", gone, claim("url", "example.org/b.jpg", owner="bob"))
    manifest = build_delta(tmp_path / "base", [], [gone["claim_id"]], tmp_path / "next", private_key=KEY)
    assert len(manifest.segments) == 1
    assert manifest.segments[0].withdrawn == 1
    assert manifest.files.keys() - before.manifest.files.keys() == {
        f"withdrawn/{manifest.segments[0].name}.arrow"
    }
    told = open_snapshot(tmp_path / "next").check([{"url": "https://example.org/a.jpg"}], ASKED)
    assert told[0]["outcome"] == "unreserved"
    assert before.check([{"url": "https://example.org/a.jpg"}], ASKED)[0]["outcome"] == "denied"


def test_withdrawals_add_up_over_deltas(tmp_path: Path) -> None:
    rows = [claim("url", f"example.org/{n}.jpg", owner=f"o{n}") for n in range(20)]
    built(tmp_path / "0", *rows)
    for step, row in enumerate(rows[:3]):
        build_delta(tmp_path / str(step), [], [row["claim_id"]], tmp_path / str(step + 1), private_key=KEY)
    told = open_snapshot(tmp_path / "3").check(
        [{"url": f"https://example.org/{n}.jpg"} for n in range(20)], ASKED
    )
    assert [answer["outcome"] for answer in told] == ["unreserved"] * 3 + ["denied"] * 17


def test_a_changed_claim_is_withdrawn_and_given_anew(tmp_path: Path) -> None:
    old = claim("url", "example.org/a.jpg", ref="work")
    new = claim("url", "example.org/a.jpg", ref="work", decision="allow")
    base = built(tmp_path / "base", old)
    changed = base.with_overlay(table([new]), [old["claim_id"]])
    told = changed.check([{"url": "https://example.org/a.jpg"}], ASKED)[0]
    assert (told["outcome"], len(told["reasons"])) == ("allowed", 1)
    assert told["reasons"][0]["snapshot"] == base.digest


def test_unknown_withdrawals_change_nothing(tmp_path: Path) -> None:
    snapshot = built(tmp_path / "base", claim("url", "example.org/a.jpg"))
    assert snapshot.with_overlay(table([]), [b"?" * 16]).segments == snapshot.segments


def test_many_owners_keep_their_numbers(tmp_path: Path) -> None:
    rows = [claim("url", f"example.org/{n}.jpg", owner=f"owner {n:04d}") for n in range(600)]
    base = built(tmp_path / "base", *rows[:400])
    overlay = base.with_overlay(table(rows[200:]))
    told = overlay.check([{"url": f"https://example.org/{n}.jpg"} for n in range(600)], ASKED)
    assert [answer["reasons"][0]["owner"] for answer in told] == [row["owner"] for row in rows]
    numbers = overlay.segments[1].statements.owner
    assert numbers.tolist() == list(range(200, 600))


def test_deltas_are_deterministic_and_never_overwrite(tmp_path: Path) -> None:
    built(tmp_path / "base", claim("url", "example.org/a.jpg"))
    new = [table([claim("url", "example.org/b.jpg"), claim("name", "greta garbo")])]
    for name in ("one", "two", "two"):
        build_delta(tmp_path / "base", new, [], tmp_path / name, private_key=KEY)
    assert content(tmp_path / "one") == content(tmp_path / "two")
    with pytest.raises(UsageError, match="another snapshot"):
        build_delta(tmp_path / "base", new, [], tmp_path / "base", private_key=KEY)


def test_a_delta_needs_a_whole_snapshot(tmp_path: Path) -> None:
    with pytest.raises(DoesNotHold, match="not a whole snapshot"):
        build_delta(tmp_path / "none", [], [], tmp_path / "next", private_key=KEY)
    assert not list(tmp_path.iterdir())
