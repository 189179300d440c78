"""Every kind of model trains, is written, and loads where people use it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tests.trainer.support import Ran, tiny

Command = Callable[..., Ran]
Train = Callable[..., Path]


@pytest.fixture
def train(trainer: Command, filtered: Path, signer: Path, tmp_path: Path) -> Train:
    def go(*settings: str, steps: int = 2) -> Path:
        out = tmp_path / "model"
        where = ("--data", filtered, "--trust", signer / "public.pem", "--out", out, "--steps", steps)
        ran = trainer("train", *where, *tiny(*settings))
        assert ran.code == 0, ran.err
        return out

    return go


def draw(folder: Path, size: tuple[int, int] = (16, 16)) -> Any:
    from diffusers import DiffusionPipeline

    pipeline = DiffusionPipeline.from_pretrained(str(folder), local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline("a red square", num_inference_steps=2).images[0]
    assert picture.size == size
    return pipeline


def test_full_fine_tuning_changes_the_denoiser_and_nothing_else(
    train: Train, base: Path, signer: Path, optout: Command
) -> None:
    out = train("model.kind='checkpoint'", f"model.base='{base}'", "ema.decay=0.0")
    draw(out)
    for part in ("vae", "text_encoder"):
        name = f"{part}/{'diffusion_pytorch_' if part == 'vae' else ''}model.safetensors"
        assert (out / name).read_bytes() == (base / name).read_bytes()
    unet = "unet/diffusion_pytorch_model.safetensors"
    before, after = load_file(base / unet), load_file(out / unet)
    assert before.keys() == after.keys()
    assert all(not torch.equal(before[name], after[name]) for name in before)
    card = (out / "README.md").read_text()
    assert card.startswith('---\nlicense: creativeml-openrail-m\nbase_model: "tiny-sd"\n')
    assert "passes the same use restrictions on" in " ".join(card.split())
    assert "The receipt says nothing of what tiny-sd had been trained on before." in card
    assert "opt-out-respected" not in card
    assert str(base.parent) not in card
    assert {path.stat().st_mode for path in out.rglob("*") if path.is_file()} == {
        (out / "README.md").stat().st_mode
    }
    statement = optout("verify", out, "--trust", signer / "public.pem", "--json")
    assert (statement.code, statement.json["holds"]) == (0, True)


def test_lora_is_written_in_both_spellings(train: Train, base: Path) -> None:
    rank = ("lora.rank=2", "lora.alpha=4.0")
    out = train("model.kind='checkpoint'", f"model.base='{base}'", "optimizer.rate=1e-2", *rank)
    theirs = load_file(out / "pytorch_lora_weights.safetensors")
    kohya = load_file(out / "model_kohya.safetensors")
    assert all(name.startswith("unet.") and ".lora" in name for name in theirs)
    names = {name.split(".")[0] for name in kohya}
    assert all(name.startswith("lora_unet_") for name in names)
    assert all(
        {f"{name}.lora_down.weight", f"{name}.lora_up.weight", f"{name}.alpha"} <= set(kohya)
        for name in names
    )
    assert not (out / "unet").exists()
    pipeline = draw(base)
    plain = noise_of(pipeline.unet)
    pipeline.load_lora_weights(str(out))
    adapted = noise_of(pipeline.unet)
    assert not torch.allclose(plain, adapted)
    pipeline.unload_lora_weights()
    assert torch.allclose(noise_of(pipeline.unet), plain)
    pipeline.load_lora_weights(str(out), weight_name="model_kohya.safetensors")
    assert torch.allclose(noise_of(pipeline.unet), adapted, atol=1e-5)
    card = (out / "README.md").read_text()
    assert "- lora\n" in card
    assert "load_lora_weights" in card
    assert 'from_pretrained("path/to/tiny-sd")' in card
    with safe_open(out / "model_kohya.safetensors", "pt") as file:
        told = file.metadata()
    assert (told["ss_network_dim"], told["ss_network_alpha"], told["ss_base_model_version"]) == (
        "2",
        "2",
        "sd_v1",
    )


def noise_of(unet: Any) -> torch.Tensor:
    torch.manual_seed(1)
    with torch.no_grad():
        found: torch.Tensor = unet(torch.randn(1, 4, 8, 8), 500, torch.randn(1, 8, 16)).sample
    return found


@pytest.mark.parametrize(
    "settings",
    [
        ("objective.prediction=v", "objective.min_snr=0.0"),
        ("objective.prediction=flow", "objective.shift=2.0"),
        ("objective.prediction=sample", "run.gradient_checkpointing=true", "optimizer.accumulate=2"),
        ("run.precision=bf16", "data.aspect_buckets=true", "data.flip=true"),
    ],
    ids=["v", "flow", "sample", "bf16"],
)
def test_a_unet_learns_each_objective(train: Train, settings: tuple[str, ...]) -> None:
    pipeline = draw(train(*settings))
    kinds = {"v": "v_prediction", "flow": "flow_prediction", "sample": "sample"}
    asked = settings[0].partition("=")[2]
    assert pipeline.scheduler.config.prediction_type == kinds.get(asked, "epsilon")


def test_a_transformer_learns_by_flow_matching(train: Train) -> None:
    out = train("model.kind=dit", "model.width=16", "model.layers=1", "model.patch=4")
    index = json.loads((out / "model_index.json").read_text())
    assert index["_class_name"] == "StableDiffusion3Pipeline"
    draw(out)


def test_a_transformer_of_latents_draws_with_the_autoencoder_of_stable_diffusion(
    train: Train, base: Path
) -> None:
    """Whose settings have no shift, which the pipeline adds to latents."""
    assert json.loads((base / "vae" / "config.json").read_text())["shift_factor"] is None
    prompts = ("validation.prompts=['a red square']", "validation.steps=1")
    draw(train("model.kind=dit", "model.width=16", f"model.vae='{base / 'vae'}'", *prompts))


def test_a_model_of_latents_beside_a_frozen_text_encoder(train: Train, base: Path) -> None:
    out = train(f"model.vae='{base / 'vae'}'", f"model.text_encoder='{base}'", "run.precision=bf16")
    draw(out)
    for name in ("vae/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"):
        before, after = load_file(base / name), load_file(out / name)
        assert all(torch.equal(before[key], after[key]) for key in before)


def test_pictures_are_drawn_while_training(train: Train, base: Path) -> None:
    prompts = "validation.prompts=['a red square', 'a blue square']"
    latent = (f"model.vae='{base / 'vae'}'", "run.precision=bf16")
    out = train(prompts, "validation.every=1", "validation.steps=2", *latent)
    run = out.with_name("model.run")
    assert [path.name for path in sorted((run / "samples").iterdir())] == [
        "step-00000001.png",
        "step-00000002.png",
    ]
    assert list((run / "tensorboard").iterdir())


@pytest.mark.parametrize(
    ("settings", "code", "says"),
    [
        (("model.kind=checkpoint",), "bad_model", "model.base"),
        (("model.kind=checkpoint", "model.base=/nowhere"), "bad_checkpoint", "no model_index.json"),
        (("model.kind=dit", "objective.prediction=v"), "bad_model", "'flow'"),
        (("lora.rank=2",), "bad_model", "lora.rank is for checkpoints"),
        (("model.base=/nowhere",), "bad_model", "model.base is for checkpoints"),
        (("model.channels=[8]",), "bad_model", "two levels or more"),
        (("model.plain_levels=2",), "bad_model", "hear the caption"),
        (("data.resolution=20",), "bad_model", "multiple of 8"),
        (("model.vae=/nowhere",), "bad_checkpoint", "/nowhere holds no autoencoder"),
        (("model.text_encoder=/nowhere",), "bad_checkpoint", "/nowhere has no CLIP"),
        (("output.license_file=/nowhere",), "no_such_file", "/nowhere"),
        pytest.param(
            ("run.precision=fp16",),
            "bad_value",
            "needs a GPU",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, and it may"),
        ),
    ],
)
def test_models_that_cannot_be_are_refused(
    trainer: Command,
    filtered: Path,
    signer: Path,
    tmp_path: Path,
    settings: tuple[str, ...],
    code: str,
    says: str,
) -> None:
    where = ("--data", filtered, "--trust", signer / "public.pem", "--out", tmp_path / "model", "--json")
    ran = trainer("train", *where, "--steps", 1, *tiny(*settings))
    assert (ran.code in (2, 3), ran.json["error"]["code"]) == (True, code)
    assert says in ran.json["error"]["message"]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("objective.prediction=v", "predicts epsilon"),
        ("data.resolution=18", "it must be a multiple of 4; it draws 16"),
    ],
)
def test_a_checkpoint_keeps_what_it_was_made_for(
    trainer: Command, filtered: Path, signer: Path, tmp_path: Path, base: Path, setting: str, says: str
) -> None:
    where = ("--data", filtered, "--trust", signer / "public.pem", "--out", tmp_path / "model", "--json")
    settings = ("model.kind=checkpoint", f"model.base='{base}'", setting)
    ran = trainer("train", *where, "--steps", 1, *tiny(*settings))
    assert ran.json["error"]["code"] == "bad_model"
    assert says in ran.json["error"]["message"]
