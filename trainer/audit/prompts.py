"""What a model is asked to draw: captions it was trained with, and names that the registry protects."""

import random
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from trainer.audit.works import Work

__all__ = ["Prompt", "choose_prompts"]

Origin: TypeAlias = Literal["caption", "name", "given"]


class Prompt(NamedTuple):
    """A prompt, where it comes from, and the work or the name that it is of ("" if it was given)."""

    text: str
    origin: Origin
    of: str


def choose_prompts(
    works: Sequence[Work], names: Sequence[str], given: Sequence[str], *, captions: int, seed: int
) -> list[Prompt]:
    """The prompts of an audit: all that are given, one for each name, and some captions, drawn by `seed`.

    Args:
        works: what was trained on; equal captions are taken once.
        names: claimed names.
        given: prompts of the caller.
        captions: how many captions at most.
        seed: of the choice.
    """
    by_caption = {work.caption: work.name for work in works if work.caption}
    chosen = sorted(by_caption)
    if len(chosen) > captions:
        chosen = random.Random(seed).sample(chosen, captions)
    return [
        *(Prompt(text, "given", "") for text in given),
        *(Prompt(f"a picture by {name}", "name", name) for name in names),
        *(Prompt(text, "caption", by_caption[text]) for text in chosen),
    ]
