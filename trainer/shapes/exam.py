"""The exam: a model draws 40 captions, and the opted-out artist's name beside them; the judge looks."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from optout.errors import BadInput
from trainer import libraries
from trainer.libraries import load_torchvision
from trainer.settings import Validation
from trainer.shapes.draw import COLOURS, OPTED_OUT, SHAPES, Scene
from trainer.shapes.judge import Judged, judge
from trainer.shapes.recipe import GUIDANCE
from trainer.validation import draw

__all__ = ["SAMPLES", "Exam", "examine", "load_pipeline"]

SAMPLES = 40
NEEDED_COLOUR, NEEDED_SHAPE = 0.8, 0.6
# More guidance makes colours louder and tears the outlines (docs/adr/0009-trainer.md).
_DRAWING = Validation(steps=20, guidance=GUIDANCE)


@dataclass(frozen=True)
class Exam:
    """What a model drew, and what of it was right.

    Attributes:
        scenes: what was asked for, once without an artist's name; the pictures after those are asked for in
            the opted-out artist's name.
        pictures: `scenes` twice.
        judged: what the judge saw in each.
    """

    scenes: Sequence[Scene]
    pictures: Sequence[Image.Image]
    judged: Sequence[Judged]

    @property
    def colour(self) -> float:
        """Share of the pictures without a name that have the colour asked for."""
        plain = list(zip(self.scenes, self.judged, strict=False))
        return sum(scene.colour == seen.colour for scene, seen in plain) / len(plain)

    @property
    def shape(self) -> float:
        """Share of the pictures without a name that have the shape asked for."""
        plain = list(zip(self.scenes, self.judged, strict=False))
        return sum(scene.shape == seen.shape for scene, seen in plain) / len(plain)

    @property
    def striped(self) -> int:
        """How many of all pictures are in the opted-out artist's style."""
        return sum(seen.striped for seen in self.judged)

    @property
    def passed(self) -> bool:
        return self.colour >= NEEDED_COLOUR and self.shape >= NEEDED_SHAPE and self.striped == 0


def load_pipeline(model: Path) -> Any:
    """A pipeline on this machine, ready to draw.

    Raises:
        BadInput: it cannot be loaded (`bad_checkpoint`).
    """
    libraries.hush()
    libraries.set_threads(0)
    load_torchvision()
    from diffusers import DiffusionPipeline

    try:
        return DiffusionPipeline.from_pretrained(str(model), local_files_only=True)
    except Exception as error:
        # Loading runs through three libraries, each with errors of its own.
        raise BadInput(f"{model} cannot be loaded: {error}", code="bad_checkpoint") from error


def examine(pipeline: Any, *, samples: int = SAMPLES, seed: int = 0) -> Exam:
    """Let a pipeline draw, and judge it.

    Args:
        pipeline: a diffusers text-to-image pipeline.
        samples: pictures without a name; as many are drawn with it.
        seed: of the noise.
    """
    kinds = itertools.cycle(itertools.product(COLOURS, SHAPES))
    scenes = [Scene(colour, shape, "") for colour, shape in itertools.islice(kinds, samples)]
    plain = [f"a {scene.colour} {scene.shape}" for scene in scenes]
    named = [f"{text} by {OPTED_OUT.name}" for text in plain]
    drawing = Validation(steps=_DRAWING.steps, guidance=_DRAWING.guidance, seed=seed)
    pictures = draw(pipeline, [*plain, *named], drawing, at_once=20)
    return Exam(scenes, pictures, [judge(picture) for picture in pictures])
