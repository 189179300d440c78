"""A local Stable Diffusion checkpoint in diffusers layout, to train all of or a low-rank update for."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from peft import LoraConfig

from optout.errors import BadInput, UsageError
from trainer.models.parts import Parts, Trainee
from trainer.settings import Settings

__all__ = ["ADAPTER", "from_checkpoint"]

ADAPTER = "default"
_PREDICTIONS = {"epsilon": "epsilon", "v_prediction": "v", "sample": "sample", "flow_prediction": "flow"}


def from_checkpoint(settings: Settings) -> Parts:
    """The model in `model.base`, made ready for training.

    Raises:
        BadInput: there is no such pipeline, or its weights cannot be read (`bad_checkpoint`).
        UsageError: `model.base` is missing, or an objective it was not made for (`bad_model`).
    """
    folder = Path(settings.model.base)
    if not settings.model.base:
        raise UsageError("model.kind is checkpoint: say where it is with model.base", code="bad_model")
    pipeline = _load(folder)
    prediction = _PREDICTIONS[pipeline.scheduler.config.get("prediction_type", "epsilon")]
    wanted = settings.objective.prediction
    if wanted not in ("auto", prediction):
        raise UsageError(
            f"{folder} predicts {prediction}, objective.prediction is {wanted}; leave it at auto",
            code="bad_model",
        )
    unet, lora = pipeline.unet, settings.lora.rank > 0
    _require_size(settings.data.resolution, pipeline)
    for part in (pipeline.vae, pipeline.text_encoder):
        part.requires_grad_(False)
    torch.manual_seed(settings.run.seed)
    if lora:
        _add_lora(unet, settings)
    trainee = Trainee(unet, pipeline.text_encoder, train_text=False)
    return Parts(
        trainee,
        pipeline.tokenizer,
        pipeline.vae,
        pipeline.scheduler,
        lambda: pipeline,
        prediction,
        base=str(folder),
        lora=lora,
    )


def _load(folder: Path) -> Any:
    try:
        index = json.loads((folder / "model_index.json").read_bytes())
        kind = index["_class_name"]
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput(
            f"{folder} holds no pipeline in diffusers layout (no model_index.json)", code="bad_checkpoint"
        ) from None
    if kind != "StableDiffusionPipeline":
        raise BadInput(f"{folder} is a {kind}; StableDiffusionPipeline can be trained", code="bad_checkpoint")
    try:
        return StableDiffusionPipeline.from_pretrained(
            str(folder),
            local_files_only=True,
            use_safetensors=True,
            safety_checker=None,
            requires_safety_checker=False,
        )
    except Exception as error:
        # Loading runs through three libraries, each with errors of its own.
        raise BadInput(f"{folder} cannot be loaded: {error}", code="bad_checkpoint") from error


def _require_size(resolution: int, pipeline: Any) -> None:
    """Refuse pictures that do not reach the coarsest level of the denoiser in whole pixels."""
    factor, config = pipeline.vae_scale_factor, pipeline.unet.config
    unit = factor * 2 ** (len(config.block_out_channels) - 1)
    if resolution % unit:
        usual = f"; it draws {factor * config.sample_size}" if isinstance(config.sample_size, int) else ""
        raise UsageError(
            f"data.resolution is {resolution}; with this checkpoint it must be a multiple of {unit}{usual}",
            code="bad_model",
        )


def _add_lora(unet: Any, settings: Settings) -> None:
    lora = settings.lora
    unet.requires_grad_(False)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha or lora.rank,
        lora_dropout=lora.dropout,
        init_lora_weights="gaussian",
        target_modules=list(lora.targets),
    )
    try:
        unet.add_adapter(config, adapter_name=ADAPTER)
    except ValueError as error:
        raise UsageError(f"lora.targets: {error}", code="bad_model") from None
