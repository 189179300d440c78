"""Drawing with a finished model."""

import json
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from PIL import Image

from optout.errors import BadInput, UsageError
from trainer import libraries
from trainer.settings import Validation
from trainer.validation import draw

__all__ = ["draw_all", "load_pipeline"]

_AT_ONCE = 16
_PIPELINE, _UPDATE = "model_index.json", "pytorch_lora_weights.safetensors"


def load_pipeline(model: Path, base: Path | None) -> Any:
    """A diffusers pipeline of local files, on the GPU if there is one.

    Args:
        model: directory of a pipeline in diffusers layout, or of a low-rank update.
        base: the pipeline that the update is for.

    Raises:
        BadInput: it is neither (`not_a_model`), or its files are broken (`broken_model`).
        UsageError: an update without its base, or a base for a whole pipeline (`base`).
    """
    whole = (model / _PIPELINE).is_file()
    if not whole and not (model / _UPDATE).is_file():
        raise BadInput(
            f"{model} has neither {_PIPELINE} nor {_UPDATE}: no model that can draw", code="not_a_model"
        )
    if whole == (base is not None):
        wanted = "is a whole model and takes no --base" if whole else "is a low-rank update: give its --base"
        raise UsageError(f"{model} {wanted}", code="base")
    libraries.load_torchvision()
    libraries.hush()
    import torch
    from diffusers import DiffusionPipeline

    gpu = torch.cuda.is_available()
    try:
        pipeline = DiffusionPipeline.from_pretrained(
            str(base or model),
            local_files_only=True,
            dtype=torch.bfloat16 if gpu else torch.float32,
            **_absent(base or model),
        )
        if base is not None:
            pipeline.load_lora_weights(str(model), local_files_only=True)
    except Exception as error:
        # The libraries raise all kinds of errors for all kinds of broken files.
        raise BadInput(f"{model} cannot be loaded: {error}", code="broken_model") from error
    return pipeline.to("cuda") if gpu else pipeline


def _absent(model: Path) -> dict[str, None]:
    """The parts that a pipeline does without; diffusers asks to be told of some, though the model says it."""
    index = json.loads((model / _PIPELINE).read_bytes())
    return {name: None for name, kind in index.items() if kind == [None, None]}


def draw_all(pipeline: Any, texts: Sequence[str], settings: Validation) -> Iterator[list[Image.Image]]:
    """A picture for each of `texts`, some at a time, each of other noise; the same seed gives the same."""
    for number, start in zip(count(), range(0, len(texts), _AT_ONCE)):
        seeded = Validation(
            steps=settings.steps, guidance=settings.guidance, seed=settings.seed * 1_000 + number
        )
        yield draw(pipeline, texts[start : start + _AT_ONCE], seeded, at_once=_AT_ONCE)
