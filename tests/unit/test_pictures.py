"""Pictures claimed by hash are found in the tiers that their distances say."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optout.engine import ItemError, Items, Question, Tier
from optout.engine.items import Evidence as Weakest
from optout.errors import DoesNotHold, UsageError
from optout.evidence import Evidence, current_evidence, evidence_record
from optout.hashes import View, hash_picture
from optout.probes import ORIENTATIONS, PictureProbes, probes_of_fingerprint
from optout.snapshot import Manifest, Snapshot
from optout.words import Outcome, SelectorKind, Use
from tests.unit.picture_support import PHOTOGRAPHS, code, fingerprint, flipped, view
from tests.unit.snapshot_support import built, claim, table

TRAIN = Question(Use.AI_TRAIN)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return built(
        tmp_path_factory.mktemp("pictures") / "snapshot",
        claim("picture", fingerprint(view(1), view(2, name="centre")), owner="ann", title="A work"),
        claim("picture", fingerprint(view(3, quality=49), view(4, name="stripped")), owner="bob"),
        claim("pdq", f"{code(5, 256):064x}", owner="cy"),
        claim("phash", f"{code(6, 64):016x}", owner="dan"),
        claim("url", "example.org/a.jpg", owner="eve"),
    )


def answer(snapshot: Snapshot, evidence: Weakest = "match", **item: str) -> dict[str, Any]:
    return snapshot.check([item], Question(Use.AI_TRAIN, evidence=evidence))[0]


def told(given: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Owner, tier, hash, view, distance and threshold of everything that was found."""
    found = [*given["reasons"], *given["flags"]]
    keys = ("owner", "tier", "how", "view", "distance", "threshold")
    return [tuple(reason[key] for key in keys) for reason in found]


@pytest.mark.parametrize(
    ("apart", "tier", "threshold"),
    [
        (0, "match", 31),
        (31, "match", 31),
        (32, "probable", 52),
        (52, "probable", 52),
        (53, "review", 64),
        (64, "review", 64),
    ],
)
@pytest.mark.parametrize("phash", [0, 8])
def test_phash_proposes_and_pdq_decides_the_tier(
    snapshot: Snapshot, apart: int, tier: str, threshold: int, phash: int
) -> None:
    given = answer(snapshot, picture=fingerprint(view(1, name="stripped", phash=phash, pdq=apart)))
    assert told(given) == [("ann", tier, "pdq", "whole", apart, threshold)]
    assert given["outcome"] == ("denied" if tier == "match" else "unreserved")
    assert len(given["reasons" if tier == "match" else "flags"]) == 1


def test_beyond_the_bounds_there_is_no_evidence(snapshot: Snapshot) -> None:
    for far in (view(1, pdq=65), view(1, phash=9), view(1, quality=49), view(3), view(99)):
        assert answer(snapshot, picture=fingerprint(far)) == {
            "outcome": "unreserved",
            "error": None,
            "flags": [],
            "reasons": [],
        }


def test_a_caller_may_count_weaker_tiers(snapshot: Snapshot) -> None:
    probable, review = (fingerprint(view(1, pdq=apart)) for apart in (40, 60))
    outcomes = [
        [answer(snapshot, evidence, picture=text)["outcome"] for text in (probable, review)]
        for evidence in ("match", "probable", "review")
    ]
    assert outcomes == [["unreserved"] * 2, ["denied", "unreserved"], ["denied"] * 2]


def test_every_view_of_the_item_meets_every_view_of_the_claim(snapshot: Snapshot) -> None:
    given = answer(snapshot, picture=fingerprint(view(50), view(2, name="stripped", pdq=7)))
    assert told(given) == [("ann", "match", "pdq", "centre", 7, 31)]
    assert answer(snapshot, picture=fingerprint(view(4)))["reasons"][0]["view"] == "stripped"


def test_the_nearest_pair_is_told(snapshot: Snapshot) -> None:
    item = fingerprint(view(1, pdq=20), view(2, name="centre", pdq=4))
    assert told(answer(snapshot, picture=item)) == [("ann", "match", "pdq", "centre", 4, 31)]


def test_a_reason_shows_the_items_own_hash(snapshot: Snapshot) -> None:
    item = view(1, pdq=10)
    reason = answer(snapshot, picture=fingerprint(item))["reasons"][0]
    assert (reason["selector"], reason["matched"], reason["orientation"]) == ("picture", item.pdq, "upright")
    assert answer(snapshot, pdq=item.pdq)["reasons"][0]["matched"] == item.pdq
    flag = answer(snapshot, phash=item.phash)["flags"][0]
    assert (flag["matched"], flag["how"]) == (item.phash, "phash")


@pytest.mark.parametrize("orientation", range(8))
def test_turned_pictures_are_found(snapshot: Snapshot, orientation: int) -> None:
    probes = probes_of_fingerprint(0, fingerprint(view(1)))
    turned = int(np.flatnonzero(probes.orientation == orientation)[0])
    pdq = "".join(f"{word:016x}" for word in probes.pdq[turned].tolist())
    text = fingerprint(View("whole", f"{int(probes.phash[turned]):016x}", pdq, 100))
    (reason,) = answer(snapshot, picture=text)["reasons"]
    # Turning by 90 degrees one way is undone by turning the other way.
    undone = {5: 7, 7: 5}.get(orientation, orientation)
    assert reason["distance"] == 0
    assert reason["orientation"] == ORIENTATIONS[undone]


def test_a_bare_phash_is_never_more_than_for_review(snapshot: Snapshot) -> None:
    near = f"{flipped(code(6, 64), 8, 64):016x}"
    assert told(answer(snapshot, phash=near)) == [("dan", "review", "phash", "unknown", 8, 8)]
    assert told(answer(snapshot, picture=fingerprint(view(6, pdq=0)))) == [
        ("dan", "review", "phash", "unknown", 0, 8)
    ]
    assert told(answer(snapshot, phash=view(1, phash=2).phash)) == [("ann", "review", "phash", "whole", 2, 8)]
    assert answer(snapshot, "probable", phash=near)["outcome"] == "unreserved"
    assert answer(snapshot, "review", phash=near)["outcome"] == "denied"


@pytest.mark.parametrize(
    ("apart", "tier", "threshold"), [(31, "match", 31), (52, "probable", 52), (64, "review", 64)]
)
def test_a_bare_pdq_matches_by_the_same_bounds(
    snapshot: Snapshot, apart: int, tier: str, threshold: int
) -> None:
    for seed, owner, seen in ((5, "cy", "unknown"), (1, "ann", "whole")):
        item = f"{flipped(code(seed, 256), apart, 256):064x}"
        assert told(answer(snapshot, pdq=item)) == [(owner, tier, "pdq", seen, apart, threshold)]
    assert told(answer(snapshot, picture=fingerprint(view(5, pdq=apart)))) == [
        ("cy", tier, "pdq", "unknown", apart, threshold)
    ]


def test_a_photograph_is_found_however_it_was_saved(tmp_path: Path) -> None:
    from PIL import Image

    claims = [claim("picture", hash_picture(path).fingerprint, owner=path.stem) for path in PHOTOGRAPHS]
    snapshot = built(tmp_path / "snapshot", *claims)
    for path in PHOTOGRAPHS:
        image = Image.open(path).convert("RGB")
        edits = {
            "upright": image.resize((image.width * 2 // 3, image.height * 2 // 3)),
            "mirrored": image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        }
        padded = Image.new("RGB", (image.width, image.height * 3 // 2), "white")
        padded.paste(image, (0, image.height // 4))
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        for edit in (padded, image.crop((left, top, left + side, top + side))):
            edits[f"upright {edit.size}"] = edit
        for orientation, edit in edits.items():
            edit.save(tmp_path / "edit.jpg", quality=70)
            given = answer(snapshot, picture=hash_picture(tmp_path / "edit.jpg").fingerprint)
            assert [reason["owner"] for reason in given["reasons"]] == [path.stem], (path, orientation)
            assert given["reasons"][0]["orientation"] == orientation.split()[0]


def test_a_digest_decides_before_a_hash_and_content_before_the_address(tmp_path: Path) -> None:
    snapshot = built(
        tmp_path / "snapshot",
        claim("url", "example.org/a.jpg", decision="deny"),
        claim("picture", fingerprint(view(1)), decision="allow"),
        claim("sha256", "ab" * 32, decision="allow"),
    )
    items = Items(
        2,
        url=pa.array(["https://example.org/a.jpg"] * 2),
        sha256=pa.array(["ab" * 32, None]),
        pictures=PictureProbes.joined([probes_of_fingerprint(row, fingerprint(view(1))) for row in range(2)]),
    )
    verdicts = snapshot.judge(items, TRAIN)
    assert verdicts.outcome.tolist() == [Outcome.ALLOWED] * 2
    assert verdicts.kind.tolist() == [SelectorKind.SHA256, SelectorKind.PICTURE]


def test_withdrawn_pictures_no_longer_count(snapshot: Snapshot) -> None:
    ids = [value.as_py() for value in snapshot.segments[0].ids]
    assert answer(snapshot.with_withdrawn(ids), picture=fingerprint(view(1)))["outcome"] == "unreserved"


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("picture", "ofp1:", "picture"),
        ("picture", "ofp2:w." + "0" * 16, "picture"),
        ("picture", "ofp1:w.é" + "0" * 90, "picture"),
        ("picture", fingerprint(view(1))[:-3] + "101", "picture"),
        ("picture", "\ud800", "picture"),
        ("phash", "00", "digest"),
        ("phash", "zz" * 8, "digest"),
        ("pdq", "00" * 8, "digest"),
    ],
)
def test_malformed_hashes_are_errors_of_their_item(
    snapshot: Snapshot, field: str, value: str, error: str
) -> None:
    items = [{field: value, "url": f"https://example.org/{name}.jpg"} for name in "ab"]
    claimed, other = snapshot.check(items, TRAIN)
    assert (other["outcome"], other["error"]) == ("error", error)
    assert claimed["outcome"] == "denied"


def test_a_broken_picture_is_an_error_unless_something_else_denies(snapshot: Snapshot) -> None:
    items = Items(
        3,
        url=pa.array(["https://example.org/a.jpg", "https://example.org/b.jpg", "https://example.org/b.jpg"]),
        pictures=probes_of_fingerprint(2, fingerprint(view(1))),
        errors=np.array([ItemError.PICTURE, ItemError.PICTURE, 0], np.uint8),
    )
    assert snapshot.judge(items, TRAIN).outcome.tolist() == [Outcome.DENIED, Outcome.ERROR, Outcome.DENIED]


def test_a_plain_picture_is_judged_and_matches_nothing(snapshot: Snapshot) -> None:
    plain = fingerprint(view(1, quality=0))
    assert answer(snapshot, picture=plain)["outcome"] == "unreserved"
    assert answer(snapshot, phash="8000000000000000")["outcome"] == "unreserved"


def test_items_of_many_batches_keep_their_rows(snapshot: Snapshot) -> None:
    rows = [0, 16_383, 16_384, 40_000]
    items = Items(
        50_000,
        pictures=PictureProbes.joined(
            [probes_of_fingerprint(row, fingerprint(view(1, pdq=3))) for row in rows]
        ),
        pdq=pa.array([None] * 49_999 + [f"{code(5, 256):064x}"]),
    )
    verdicts = snapshot.judge(items, TRAIN, look_for=Tier.REVIEW)
    assert np.flatnonzero(verdicts.outcome == Outcome.DENIED).tolist() == [*rows, 49_999]
    assert snapshot.explain(items, verdicts, 40_000)[0]["matched"] == view(1, pdq=3).pdq


def test_a_column_of_bare_pdq_meets_claimed_pictures(snapshot: Snapshot) -> None:
    near = [f"{flipped(code(seed, 256), apart, 256):064x}" for seed, apart in ((1, 31), (5, 31), (1, 32))]
    verdicts = snapshot.judge(Items(4, pdq=pa.array([*near, None])), TRAIN)
    assert verdicts.matches.kind.tolist() == [SelectorKind.PICTURE, SelectorKind.PDQ]
    denied, unreserved = Outcome.DENIED, Outcome.UNRESERVED
    assert verdicts.outcome.tolist() == [denied, denied, unreserved, Outcome.ERROR]


def test_only_what_counts_is_looked_for_unless_asked(snapshot: Snapshot) -> None:
    items = Items(1, pictures=probes_of_fingerprint(0, fingerprint(view(1, pdq=40))))
    assert not len(snapshot.judge(items, TRAIN).matches.row)
    looked = snapshot.judge(items, TRAIN, look_for=Tier.PROBABLE)
    assert looked.matches.tier.tolist() == [Tier.PROBABLE]
    assert (looked.outcome.tolist(), looked.flagged.tolist()) == ([Outcome.UNRESERVED], [True])


def test_the_manifest_carries_the_bounds_and_their_error_rates(snapshot: Snapshot) -> None:
    record = snapshot.manifest.thresholds
    assert record == evidence_record()
    assert snapshot.evidence == current_evidence()
    rates = record["rates"]
    for tier in ("match", "probable", "review", "phash", "pdq_match", "pdq_probable", "pdq_review"):
        rate = rates[tier]
        assert 0 < rate["pair"] < rate["query_1m"] <= rate["query_10m"] <= rate["query_100m"] <= 1
        assert rate["seen"] < rate["pair"] * rates["pairs"]
    assert (
        rates["match"]["pair"] < rates["probable"]["pair"] < rates["review"]["pair"] < rates["phash"]["pair"]
    )


@pytest.mark.parametrize(
    "change",
    [
        {"phash": 65},
        {"phash": "8"},
        {"pdq": {"match": 60, "probable": 52, "review": 64}},
        {"pdq": {"match": 31}},
        {"usable": {}},
        {"usable": dict(evidence_record()["usable"]) | {"pdq_ones": [9, 8]}},
    ],
)
def test_bounds_that_make_no_sense_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DoesNotHold, match="thresholds"):
        Evidence.of_record({**evidence_record(), **change})


def test_a_tier_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="'sure'"):
        Question(Use.TDM, evidence="sure")  # type: ignore[arg-type]


pictures = st.builds(
    view,
    st.integers(0, 6),
    name=st.sampled_from(["whole", "centre", "stripped"]),
    phash=st.sampled_from([0, 3, 5]),
    pdq=st.sampled_from([0, 14, 26, 33]),
    quality=st.sampled_from([49, 50, 100]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(pictures, min_size=1, max_size=3, unique_by=lambda v: v.name), max_size=6), pictures)
def test_the_index_agrees_with_comparing_every_pair(claimed: list[list[Any]], item: Any) -> None:
    """The rule, written down anew: one item's upright view against every view held."""
    empty = Snapshot(Manifest(sip_key="00" * 16, segments=(), files={}), "", ())
    rows = [claim("picture", fingerprint(*views), owner=str(number)) for number, views in enumerate(claimed)]
    snapshot = empty.with_overlay(table(rows))
    found = snapshot.check([{"picture": fingerprint(item)}], Question(Use.AI_TRAIN, evidence="review"))[0]
    expected: dict[str, int] = {}
    for number, views in enumerate(claimed):
        for held in views:
            near = _apart(held.phash, item.phash) <= 8 and min(held.quality, item.quality) >= 50
            distance = _apart(held.pdq, item.pdq)
            if near and distance <= 64:
                expected[str(number)] = min(expected.get(str(number), 256), distance)
    assert {reason["owner"]: reason["distance"] for reason in found["reasons"]} == expected


def _apart(left: str, right: str) -> int:
    return (int(left, 16) ^ int(right, 16)).bit_count()
