"""Pictures drawn while training, and the grid they are shown in."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image

from trainer.models.parts import Parts
from trainer.settings import Validation

__all__ = ["draw", "grid_of"]

_GAP = 2
# Small pictures are enlarged until a person can see them.
_LEAST_SIDE = 96


def draw(
    pipeline: Any, prompts: Sequence[str], settings: Validation, *, at_once: int = 16
) -> list[Image.Image]:
    """One picture a prompt; the same seed gives prompt number n the same noise."""
    pipeline.set_progress_bar_config(disable=True)
    pictures: list[Image.Image] = []
    for start in range(0, len(prompts), at_once):
        some = list(prompts[start : start + at_once])
        seeds = [settings.seed * 1_000_003 + start + index for index in range(len(some))]
        made = pipeline(
            some,
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        )
        pictures += made.images
    return pictures


def grid_of(pictures: Sequence[Image.Image], *, columns: int = 0) -> Image.Image:
    """Pictures side by side in rows, on white."""
    columns = columns or min(len(pictures), 8)
    scale = max(1, -(-_LEAST_SIDE // pictures[0].width))
    width, height = pictures[0].width * scale, pictures[0].height * scale
    rows = -(-len(pictures) // columns)
    grid = Image.new("RGB", (columns * (width + _GAP) - _GAP, rows * (height + _GAP) - _GAP), "white")
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        enlarged = picture.resize((width, height), Image.Resampling.NEAREST)
        grid.paste(enlarged, (column * (width + _GAP), row * (height + _GAP)))
    return grid


def draw_grid(parts: Parts, settings: Validation) -> Image.Image:
    """The validation prompts, drawn by the model as it stands."""
    with parts.pipeline() as pipeline:
        return grid_of(draw(pipeline, settings.prompts, settings))
