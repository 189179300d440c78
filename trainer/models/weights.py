"""Weights on disk: a pipeline, or a low-rank update in the two spellings that programs read."""

from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils import convert_state_dict_to_diffusers, convert_state_dict_to_kohya
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file

from trainer.models.checkpoint import ADAPTER
from trainer.models.parts import Parts

__all__ = ["write_weights"]


def write_weights(folder: Path, parts: Parts, name: str) -> None:
    """Write a pipeline's weights into `folder`; of a low-rank update `name` is part of a file's name."""
    if not parts.lora:
        parts.assemble().save_pretrained(str(folder), safe_serialization=True)
        return
    update = _update(parts.trainee.denoiser)
    layers = convert_state_dict_to_diffusers(update)
    StableDiffusionPipeline.save_lora_weights(str(folder), unet_lora_layers=layers, safe_serialization=True)
    spelled = convert_state_dict_to_kohya({f"unet.{name}": value for name, value in update.items()})
    kohya = {name: value.contiguous().cpu() for name, value in spelled.items()}
    plain = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)
    save_file(kohya, folder / f"{plain}_kohya.safetensors")


def _update(denoiser: Any) -> dict[str, torch.Tensor]:
    """The update with its scale multiplied in: programs take the scale for 1 where a file does not say it."""
    config = denoiser.peft_config[ADAPTER]
    scale = config.lora_alpha / config.r
    update = get_peft_model_state_dict(denoiser, adapter_name=ADAPTER)
    return {name: value * scale if ".lora_B." in name else value for name, value in update.items()}
