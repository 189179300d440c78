"""The model card: where the data came from, what is not known, and under which licence the model is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optout import keys
from optout.errors import BadInput
from optout.parents import read_parents
from tests.trainer.support import Ran, tiny, write_receipt
from trainer.card import CardFacts, model_card
from trainer.data.history import History
from trainer.gate import admit
from trainer.licences import licence_of
from trainer.settings import Settings, load_settings

Command = Callable[..., Ran]


@pytest.fixture
def card(filtered: Path, private: keys.PrivateKey, signer: Path) -> Callable[..., str]:
    """The card of a model trained on `filtered`; what a receipt says can be changed first."""

    def make(settings: Settings | None = None, **predicate: Any) -> str:
        write_receipt(filtered, private, predicate=predicate)
        admission = admit(filtered, filtered / "receipt.json", [keys.load_public(signer / "public.pem")])
        settings = settings or Settings()
        facts = CardFacts(
            name="A model",
            settings=settings,
            admission=admission,
            history=History(()),
            licence=licence_of("", "", base=None),
            prediction="epsilon",
            base=settings.model.base or None,
            signed_by=None,
            checked=None,
            loss=None,
        )
        return model_card(facts)

    return make


def test_own_works_and_weaker_questions_are_told(card: Callable[..., str]) -> None:
    question = {"use": "ai-train-generative", "at": "2026-11-26T00:00:00+00:00", "names": "ignore"}
    told = card(question={**question, "min_grade": 2, "evidence": "probable", "owner": "Ada"})
    for text in (
        "of Ada, who allows them, by the statement of whoever filtered",
        "of evidence grade 2 (domain_proven) or above",
        "| Captions with claimed names | not asked about |",
        "`probable`, or stronger",
    ):
        assert text in told
    assert "Own works" not in card()


def test_claims_that_the_data_were_not_compared_with_are_told(card: Callable[..., str]) -> None:
    counts = {"rows": 9, "kept": 6, "dropped": 2, "errors": 1, "flagged": 0, "outcomes": {}}
    counts |= {"reasons": {}, "error_reasons": {}, "unasked": {"clip": 9}}
    row = "| Not compared, as the data held nothing to compare | 9 with claims by clip |"
    assert row in card(counts=counts)
    assert "Not compared" not in card()


def test_receipts_that_came_before_are_told(
    card: Callable[..., str], tmp_path: Path, private: keys.PrivateKey
) -> None:
    parents: list[dict[str, str]] = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        parents = read_parents([write_receipt(tmp_path / name, private, predicate={"parents": parents})])
    told = card(parents=parents)
    assert told.count("Filtered before, receipt") == 2
    assert f"receipt `{parents[0]['sha256'][:16]}` | 9 items, 6 kept, 2 left out (2 by domain), by" in told


def test_what_was_not_trained_here_is_named(card: Callable[..., str]) -> None:
    settings = load_settings(None, ["model.vae=/home/me/sd-vae", "model.text_encoder=/home/me/sd"])
    told = " ".join(card(settings).split())
    assert "nothing of what the autoencoder sd-vae and the text encoder of sd had been trained on" in told
    assert "/home/me" not in told
    assert "opt-out-respected" not in told
    assert "opt-out-respected" in card()


@pytest.fixture
def base(tmp_path: Path) -> Callable[[str], Path]:
    """A checkpoint whose card begins so."""

    def make(card: str) -> Path:
        folder = tmp_path / "checkpoint"
        folder.mkdir()
        (folder / "README.md").write_text(card)
        return folder

    return make


@pytest.mark.parametrize(
    ("card", "identifier"),
    [
        ("# No header\nlicense: mit\n", "creativeml-openrail-m"),
        ("---\nlicense: other\n---\n", "creativeml-openrail-m"),
        ("---\nlanguage: en\nlicense: 'openrail++'\n---\nlicense: mit\n", "openrail++"),
        ("---\nlicense: cc0-1.0\n---\n", "cc0-1.0"),
    ],
)
def test_a_derivative_is_under_the_licence_of_what_it_was_made_from(
    base: Callable[[str], Path], card: str, identifier: str
) -> None:
    found = licence_of("", "", base=base(card))
    assert found.identifier == identifier
    assert ("break the law" in found.says) == ("rail" in identifier)


@pytest.mark.parametrize(
    ("card", "says"),
    [
        ("", "says of no licence; Stable Diffusion is under CreativeML Open RAIL-M (https://"),
        ("---\nlicense: openrail++\n---\n", "is under CreativeML Open RAIL++-M (https://"),
    ],
)
def test_another_licence_does_not_shake_off_use_restrictions(
    base: Callable[[str], Path], card: str, says: str
) -> None:
    folder = base(card)
    found = licence_of("mit", "", base=folder)
    assert found.identifier == "mit"
    assert f"The model was made from checkpoint, which {says}" in found.says
    assert "break the law" in found.says
    text = folder / "LICENCE"
    text.write_text("Whatever it says is what counts.")
    assert licence_of("mit", str(text), base=folder).says == ""


def test_a_model_of_ones_own_is_under_what_one_says(tmp_path: Path) -> None:
    assert licence_of("", "", base=None).name == "none given"
    assert licence_of("my-licence", "", base=None).identifier == "my-licence"
    text = tmp_path / "mine.txt"
    text.write_text("Do as you like.")
    assert licence_of("", str(text), base=None).name == "see LICENSE"
    with pytest.raises(BadInput, match="no such file"):
        licence_of("", str(tmp_path / "nowhere"), base=None)


def test_the_licence_is_a_flag(trainer: Command, filtered: Path, signer: Path, tmp_path: Path) -> None:
    text = tmp_path / "my licence.txt"
    text.write_text("Be kind.")
    where = ("--data", filtered, "--trust", signer / "public.pem", "--out", tmp_path / "model", "--steps", 1)
    ran = trainer("train", *where, "--license", "cc-by-4.0", "--license-file", text, *tiny())
    assert ran.code == 0, ran.err
    assert (tmp_path / "model" / "LICENSE").read_text() == "Be kind."
    assert (tmp_path / "model" / "README.md").read_text().startswith("---\nlicense: cc-by-4.0\n")
    envelope = json.loads((tmp_path / "model" / "provenance.json").read_bytes())
    assert envelope["signatures"]
