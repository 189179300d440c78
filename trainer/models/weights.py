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

# Channels of the text that the second Stable Diffusion listens to; the first has 768.
_WIDTH_OF_SD2 = 1024
# In a file's name; with letters of four bytes that is what a file system takes.
_LONGEST_NAME = 50


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
    plain = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name[:_LONGEST_NAME])
    save_file(kohya, folder / f"{plain}_kohya.safetensors", metadata=_told(parts.trainee.denoiser, name))


def _told(denoiser: Any, name: str) -> dict[str, str]:
    """What the programs that read kohya's spelling show of an update, and tell the kind of its model by."""
    second = denoiser.config.cross_attention_dim == _WIDTH_OF_SD2
    rank = str(denoiser.peft_config[ADAPTER].r)
    return {
        "format": "pt",
        "modelspec.title": name,
        "ss_output_name": name,
        "ss_network_module": "networks.lora",
        "ss_network_dim": rank,
        # The scale is multiplied in.
        "ss_network_alpha": rank,
        "ss_base_model_version": "sd_v2" if second else "sd_v1",
        "ss_v2": str(second),
    }


def _update(denoiser: Any) -> dict[str, torch.Tensor]:
    """The update with its scale multiplied in: programs take the scale for 1 where a file does not say it."""
    config = denoiser.peft_config[ADAPTER]
    scale = config.lora_alpha / config.r
    update = get_peft_model_state_dict(denoiser, adapter_name=ADAPTER)
    return {name: value * scale if ".lora_B." in name else value for name, value in update.items()}
