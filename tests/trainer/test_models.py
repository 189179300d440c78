"""Every kind of model trains, is written, and loads where people use it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.trainer.support import Ran, tiny

Command = Callable[..., Ran]
Train = Callable[..., Path]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Stable Diffusion with tiny random weights, in diffusers layout."""
    from trainer.models.text import learn_tokenizer, make_text_encoder

    # isort: split
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel

    torch.manual_seed(0)
    tokenizer = learn_tokenizer(["a red square", "a blue square"], size=600, tokens=8)
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            norm_num_groups=4,
        ),
        text_encoder=make_text_encoder(tokenizer, width=16, layers=1, projected=False),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8, 16),
            layers_per_block=1,
            norm_num_groups=4,
            cross_attention_dim=16,
            attention_head_dim=2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        ),
        scheduler=PNDMScheduler(skip_prk_steps=True, steps_offset=1, beta_schedule="scaled_linear"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    folder = tmp_path_factory.mktemp("base") / "tiny-sd"
    pipeline.save_pretrained(str(folder), safe_serialization=True)
    return folder


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
    assert card.startswith(f'---\nlicense: creativeml-openrail-m\nbase_model: "{base}"\n')
    assert "passes the same use restrictions on" in " ".join(card.split())
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


def test_a_checkpoint_keeps_its_objective(
    trainer: Command, filtered: Path, signer: Path, tmp_path: Path, base: Path
) -> None:
    where = ("--data", filtered, "--trust", signer / "public.pem", "--out", tmp_path / "model", "--json")
    settings = ("model.kind=checkpoint", f"model.base='{base}'", "objective.prediction=v")
    ran = trainer("train", *where, "--steps", 1, *tiny(*settings))
    assert ran.json["error"]["code"] == "bad_model"
    assert "predicts epsilon" in ran.json["error"]["message"]
