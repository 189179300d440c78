"""Weights on disk: a pipeline, or a low-rank update in the two spellings that programs read."""

from pathlib import Path

from diffusers import StableDiffusionPipeline
from diffusers.utils import convert_state_dict_to_diffusers, convert_state_dict_to_kohya
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file

from trainer.models.parts import Parts

__all__ = ["write_weights"]


def write_weights(folder: Path, parts: Parts, name: str) -> None:
    """Write a pipeline's weights into `folder`; of a low-rank update `name` is part of a file's name."""
    if not parts.lora:
        parts.assemble().save_pretrained(str(folder), safe_serialization=True)
        return
    update = convert_state_dict_to_diffusers(get_peft_model_state_dict(parts.trainee.denoiser))
    StableDiffusionPipeline.save_lora_weights(str(folder), unet_lora_layers=update, safe_serialization=True)
    prefixed = {f"unet.{key}": value for key, value in update.items()}
    kohya = {key: value.contiguous().cpu() for key, value in convert_state_dict_to_kohya(prefixed).items()}
    plain = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in name)
    save_file(kohya, folder / f"{plain}_kohya.safetensors")
