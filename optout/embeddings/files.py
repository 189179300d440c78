"""The embeddings of many files, those before one that cannot be read and those after it alike."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from optout.embeddings.model import EmbeddingModel
from optout.embeddings.preparation import Pixels
from optout.errors import BadInput

__all__ = ["Embedded", "embed_files"]

F16 = npt.NDArray[np.float16]


class Embedded(NamedTuple):
    """What became of one file: its embedding, or why it has none."""

    path: Path
    outcome: F16 | BadInput


def embed_files(model: EmbeddingModel, paths: Sequence[Path]) -> Iterator[Embedded]:
    """Embed files in order, a batch of the model's at a time.

    Args:
        model: what embeds.
        paths: the files.

    Raises:
        BadInput: the model makes no vector of a picture (`bad_embeddings`).
    """
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        for start in range(0, len(paths), model.batch):
            part = paths[start : start + model.batch]
            squares = list(threads.map(lambda path: _prepare(model, path), part))
            usable = [square for square in squares if not isinstance(square, BadInput)]
            vectors = iter(model.embed_squares(np.stack(usable)) if usable else ())
            for path, square in zip(part, squares, strict=True):
                yield Embedded(path, square if isinstance(square, BadInput) else next(vectors))


def _prepare(model: EmbeddingModel, path: Path) -> Pixels | BadInput:
    # Names that are no UTF-8 can be opened, but not printed.
    name = str(path).encode(errors="replace").decode()
    try:
        return model.prepare(path, name)
    except BadInput as error:
        return error
