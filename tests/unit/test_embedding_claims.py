"""Pictures claimed by their embeddings: compared within one model, in the tiers of its thresholds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optout.embeddings import format_embedding, parse_embedding
from optout.engine import Items, Question, Tier
from optout.errors import BadInput, DoesNotHold
from optout.probes import Embeddings
from optout.snapshot import Snapshot, build_delta, build_snapshot, open_snapshot, verify_snapshot
from optout.words import Outcome, Use
from tests.unit.picture_support import embedding
from tests.unit.snapshot_support import KEY, built, claim, table

CLIP, SSCD = "ViT-B/32@0123456789abcdef", "sscd-320@fedcba9876543210"
RECORD: dict[str, Any] = {
    "id": CLIP,
    "name": "ViT-B/32",
    "dimension": 64,
    "thresholds": {"match": 0.9, "review": 0.8},
}
TRAIN = Question(Use.AI_TRAIN)


def at_cosine(cosine: float, model: str = CLIP, seed: int = 1) -> str:
    """An embedding with that cosine to that of picture `seed`."""
    vector = parse_embedding(embedding(seed)).vector.astype(np.float64)
    other = np.random.default_rng(5).standard_normal(64)
    other -= other @ vector * vector / (vector @ vector)
    mixed = cosine * vector + np.sqrt(1 - cosine**2) * other / np.linalg.norm(other)
    return format_embedding(model, mixed / np.linalg.norm(mixed))


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return built(
        tmp_path_factory.mktemp("embeddings") / "snapshot",
        claim("clip", embedding(1), owner="ann"),
        claim("clip", embedding(2), owner="bob"),
        claim("clip", embedding(1, model=SSCD), owner="cy"),
    )


def answer(snapshot: Snapshot, value: str) -> dict[str, Any]:
    return snapshot.check([{"clip": value}], TRAIN)[0]


@pytest.mark.parametrize(
    ("model", "cosine", "outcome", "tier"),
    [
        (CLIP, 1.0, "denied", "match"),
        (CLIP, 0.97, "denied", "match"),
        (CLIP, 0.95, "unreserved", "review"),
        (CLIP, 0.92, "unreserved", None),
        (SSCD, 0.8, "denied", "match"),
        (SSCD, 0.6, "unreserved", "review"),
        (SSCD, 0.4, "unreserved", None),
    ],
)
def test_the_models_thresholds_decide(
    snapshot: Snapshot, model: str, cosine: float, outcome: str, tier: str | None
) -> None:
    given = answer(snapshot, at_cosine(cosine, model))
    found = [*given["reasons"], *given["flags"]]
    assert given["outcome"] == outcome
    assert [reason["tier"] for reason in found] == ([tier] if tier else [])
    for reason in found:
        assert (reason["selector"], reason["how"], reason["matched"]) == ("clip", "embedding", model)
        assert reason["distance"] == pytest.approx(1 - cosine, abs=2e-3)
        assert reason["owner"] == ("ann" if model == CLIP else "cy")


def test_embeddings_of_other_models_are_never_compared(snapshot: Snapshot) -> None:
    other = embedding(1, model="ViT-B/32@00")
    assert answer(snapshot, other)["outcome"] == "unreserved"
    assert snapshot.has_model(CLIP, 64)
    assert not snapshot.has_model("ViT-B/32@00", 64)
    assert not snapshot.has_model(CLIP, 128)


def test_a_claim_that_misstates_its_model_is_in_nobodys_way(tmp_path: Path) -> None:
    wrong = format_embedding(CLIP, np.eye(128)[0])
    snapshot = built(tmp_path / "s", claim("clip", wrong, owner="eve"), claim("clip", embedding(1)))
    assert answer(snapshot, embedding(1))["outcome"] == "denied"
    assert answer(snapshot, wrong)["reasons"][0]["owner"] == "eve"


def test_the_records_of_models_go_into_the_manifest(tmp_path: Path) -> None:
    rows = [claim("clip", embedding(1)), claim("clip", embedding(1, model=SSCD))]
    build_snapshot([table(rows[:1])], tmp_path / "base", private_key=KEY, models=[RECORD])
    delta = build_delta(tmp_path / "base", [table(rows[1:])], [], tmp_path / "next", private_key=KEY)
    assert list(delta.models) == [RECORD, {"id": SSCD, "thresholds": {"match": 0.75, "review": 0.5}}]
    verify_snapshot(tmp_path / "next", trust=[KEY.public])
    opened = open_snapshot(tmp_path / "next")
    assert opened.manifest.models == delta.models
    assert answer(opened, at_cosine(0.91))["outcome"] == "denied"
    assert answer(opened, at_cosine(0.6, SSCD))["flags"][0]["threshold"] == 0.5


def test_a_record_without_thresholds_is_refused(tmp_path: Path) -> None:
    for number, wrong in enumerate([{"id": CLIP}, RECORD | {"thresholds": {"match": 0.5, "review": 0.9}}]):
        build_snapshot([], tmp_path / str(number), private_key=KEY, models=[wrong])
        with pytest.raises(DoesNotHold, match="model's record"):
            open_snapshot(tmp_path / str(number))


def test_columns_of_embeddings_are_judged_with_gaps_and_faults(snapshot: Snapshot) -> None:
    vectors = np.zeros((5, 64), np.float16)
    vectors[1] = parse_embedding(embedding(2)).vector
    vectors[2] = parse_embedding(at_cosine(0.95)).vector
    vectors[3] = np.nan
    held = Embeddings(CLIP, vectors, np.array([False, True, True, True, True]))
    verdicts = snapshot.judge(Items(5, embeddings=(held,)), TRAIN)
    assert verdicts.outcome.tolist() == [
        Outcome.ERROR,
        Outcome.DENIED,
        Outcome.UNRESERVED,
        Outcome.ERROR,
        Outcome.ERROR,
    ]
    looked = snapshot.judge(Items(5, embeddings=(held,)), TRAIN, look_for=Tier.REVIEW)
    assert looked.flagged.tolist() == [False, False, True, False, False]


def test_withdrawals_and_new_claims_are_honoured(snapshot: Snapshot) -> None:
    ids = [claim("clip", embedding(1), owner="ann")["claim_id"]]
    changed = snapshot.with_overlay(table([claim("clip", embedding(3), owner="dan")]), ids)
    assert [answer(changed, embedding(seed))["outcome"] for seed in (1, 2, 3)] == [
        "unreserved",
        "denied",
        "denied",
    ]


@pytest.mark.parametrize("value", ["", "oce1:", "oce1:ViT-B/32@00:AAAA", "\ud800"])
def test_what_is_no_embedding_is_the_items_error(snapshot: Snapshot, value: str) -> None:
    given = snapshot.check([{"clip": value}, {"clip": embedding(1)}], TRAIN)
    assert [(one["outcome"], one["error"]) for one in given] == [("error", "embedding"), ("denied", None)]


def test_items_have_embeddings_by_several_models_and_each_meets_its_own(snapshot: Snapshot) -> None:
    other = "ViT-L/14@0123456789abcdef"
    values = [embedding(2), embedding(1, model=SSCD), embedding(2, model=SSCD), embedding(1, model=other)]
    given = snapshot.check([{"clip": value} for value in values], TRAIN)
    said = [[(each["owner"], each["matched"]) for each in one["reasons"]] for one in given]
    assert said == [[("bob", CLIP)], [("cy", SSCD)], [], []]
    assert [one["outcome"] for one in given] == ["denied", "denied", "unreserved", "unreserved"]


def test_models_are_not_without_number(snapshot: Snapshot) -> None:
    items = [{"clip": embedding(1, model=f"ViT-B/32@{number:016x}")} for number in range(9)]
    with pytest.raises(BadInput, match="8 models") as caught:
        snapshot.check(items, TRAIN)
    assert caught.value.code == "several_models"
    assert len(snapshot.check(items[:8], TRAIN)) == 8
