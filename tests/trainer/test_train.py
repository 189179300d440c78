"""The thinnest whole run: data with a receipt in, a pipeline with its proof out."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from optout import keys
from optout.errors import OptoutError
from optout.filter.atomic import sha256_of
from optout.parents import read_parents
from tests.trainer.support import Ran, tiny, write_receipt
from trainer.output import write_model

Command = Callable[..., Ran]


@pytest.fixture
def model(trainer: Command, filtered: Path, signer: Path, tmp_path: Path) -> Path:
    out = tmp_path / "model"
    ran = trainer(
        "train", "--data", filtered, "--trust", signer / "public.pem", "--out", out, "--steps", 3, *tiny()
    )
    assert ran.code == 0, ran.err
    return out


def test_pipeline_loads_and_draws(model: Path) -> None:
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(str(model), local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    pictures = pipeline(["a red square", ""], num_inference_steps=2).images
    assert [picture.size for picture in pictures] == [(16, 16)] * 2
    assert not list(model.rglob("*.bin"))


def test_statement_binds_the_weights_to_the_receipt(
    model: Path, filtered: Path, signer: Path, optout: Command
) -> None:
    check = ("verify", model, "--trust", signer / "public.pem", "--json")
    ran = optout(*check)
    assert (ran.code, ran.json["holds"]) == (0, True)
    checked = {finding["what"] for finding in ran.json["findings"]}
    assert {"signature", "receipt", "README.md", "unet/diffusion_pytorch_model.safetensors"} <= checked
    assert sha256_of(model / "receipt.json") == sha256_of(filtered / "receipt.json")
    weights = model / "unet" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    (model / "extra.safetensors").write_bytes(b"")
    ran = optout(*check)
    bad = {finding["what"]: finding["code"] for finding in ran.json["findings"] if not finding["holds"]}
    assert ran.code == 1
    assert bad == {
        "unet/diffusion_pytorch_model.safetensors": "changed_file",
        "extra.safetensors": "extra_file",
    }


def test_another_receipt_beside_the_model_is_found(model: Path, signer: Path, optout: Command) -> None:
    (model / "receipt.json").write_bytes(b"{}")
    ran = optout("verify", model, "--trust", signer / "public.pem", "--json")
    bad = {finding["what"]: finding["code"] for finding in ran.json["findings"] if not finding["holds"]}
    assert (ran.code, bad) == (1, {"receipt.json": "changed_file", "receipt": "other_receipt"})


def test_receipts_that_came_before_are_checked_with_the_model(
    trainer: Command,
    filtered: Path,
    private: keys.PrivateKey,
    signer: Path,
    optout: Command,
    tmp_path: Path,
) -> None:
    """The model is trusted and its receipt too, but not who filtered the metadata."""
    keys.generate(tmp_path / "stranger")
    (tmp_path / "rows").mkdir()
    first = write_receipt(tmp_path / "rows", keys.load_private(tmp_path / "stranger" / "private.pem"))
    write_receipt(filtered, private, predicate={"parents": read_parents([first])})
    ours, both = ("--trust", signer / "public.pem"), ("--trust", tmp_path / "stranger" / "public.pem")
    out = tmp_path / "model"
    assert trainer("train", "--data", filtered, "--out", out, *ours, *both, "--steps", 1, *tiny()).code == 0
    assert optout("verify", out, *ours, *both, "--json").json["holds"]
    ran = optout("verify", out, *ours, "--json")
    (bad,) = [finding for finding in ran.json["findings"] if not finding["holds"]]
    assert (ran.code, bad["code"], bad["what"][:7]) == (1, "unknown_key", "parent ")


def test_a_folder_that_leads_elsewhere_is_no_part_of_a_model(
    model: Path, signer: Path, optout: Command, tmp_path: Path
) -> None:
    (model / "more").symlink_to(tmp_path)
    ran = optout("verify", model, "--trust", signer / "public.pem", "--json")
    bad = [finding for finding in ran.json["findings"] if not finding["holds"]]
    assert [(finding["what"], finding["code"]) for finding in bad] == [("more", "extra_file")]


def test_strangers_and_unsigned_models_do_not_hold(
    model: Path, tmp_path: Path, signer: Path, optout: Command
) -> None:
    keys.generate(tmp_path / "stranger")
    ran = optout("verify", model, "--trust", tmp_path / "stranger" / "public.pem", "--json")
    assert (ran.code, ran.json["findings"][0]["code"]) == (1, "unknown_key")
    (model / "provenance.json").unlink()
    ran = optout("verify", model, "--trust", signer / "public.pem", "--json")
    assert (ran.code, ran.json["findings"][0]["code"]) == (1, "unsigned_model")


def test_an_unsigned_update_is_called_a_model_too(tmp_path: Path, signer: Path, optout: Command) -> None:
    (tmp_path / "pytorch_lora_weights.safetensors").write_bytes(b"weights")
    ran = optout("verify", tmp_path, "--trust", signer / "public.pem", "--json")
    assert (ran.code, ran.json["findings"][0]["code"]) == (1, "unsigned_model")


def test_card_tells_where_the_data_came_from(model: Path, filtered: Path, private: keys.PrivateKey) -> None:
    card = (model / "README.md").read_text()
    assert card.startswith("---\nlicense: other\n")
    for text in (
        sha256_of(filtered / "receipt.json"),
        "ab" * 32,
        "art.example",
        "2 by domain",
        private.key_id,
    ):
        text = "2 (2 by domain)" if text == "2 by domain" else text
        assert text in card


def test_what_cannot_be_written_is_no_full_disk_for_its_name(tmp_path: Path) -> None:
    facts: Any = None
    (tmp_path / "workspace").write_text("a file, and no folder")
    with pytest.raises(OptoutError) as raised:
        write_model(tmp_path / "workspace" / "model", facts, facts, None, datetime.now(UTC))
    assert raised.value.code == "write_failed"


def test_unsigned_when_there_is_no_key(
    trainer: Command, filtered: Path, signer: Path, tmp_path: Path
) -> None:
    public = tmp_path / "public.pem"
    public.write_bytes((signer / "public.pem").read_bytes())
    out = tmp_path / "model"
    arguments = (
        "train",
        "--data",
        filtered,
        "--trust",
        public,
        "--out",
        out,
        "--steps",
        1,
        "--json",
        *tiny(),
    )
    ran = trainer(*arguments)
    assert (ran.code, ran.json["statement"]) == (0, None)
    assert "unsigned" in ran.err
    assert "nobody: this model has no signed statement" in (out / "README.md").read_text()
    assert not (out / "provenance.json").exists()
    assert json.loads(trainer(*arguments).out)["resumed_from"] == 1
