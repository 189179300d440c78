"""A model that is loaded: pictures in, embeddings of unit length out, with the record of which model it was.

Preparing pictures and running the model are apart, so that CPUs can do the one and a GPU's process the other.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from optout.embeddings.identity import ModelRecord
from optout.embeddings.preparation import Pixels, Preparation
from optout.errors import BadInput
from optout.hashing.decode import decode_rgb, read_picture

__all__ = ["EmbeddingModel", "Network"]

F16 = npt.NDArray[np.float16]
F32 = npt.NDArray[np.float32]


class Network(Protocol):
    """What runs a model, whichever program made it."""

    def __call__(self, batches: Iterable[Pixels]) -> F32:
        """The outputs for batches of uint8[n, side, side, 3], together float32[N, D] of any length."""


@dataclass(frozen=True)
class EmbeddingModel:
    """A model with its record.

    Attributes:
        record: which model it is.
        preparation: how pictures become what it is given.
        network: what runs it.
        batch: how many pictures it is given at a time.
    """

    record: ModelRecord
    preparation: Preparation
    network: Network
    batch: int

    @property
    def identity(self) -> dict[str, Any]:
        """The record for manifests and receipts: name, digests, preparation, dimension, thresholds."""
        return self.record.as_dict()

    def prepare(self, source: str | Path | bytes, name: str = "") -> Pixels:
        """A picture as the model is given it, uint8[side, side, 3].

        Raises:
            BadInput: as `optout.hashes.hash_picture`.
        """
        name = name or ("the picture" if isinstance(source, bytes) else str(source))
        data = source if isinstance(source, bytes) else read_picture(Path(source))
        return self.preparation.square(decode_rgb(data, name))

    def embed(self, pictures: Sequence[str | Path | bytes]) -> F16:
        """Embeddings of pictures.

        Args:
            pictures: paths, or bytes of files.

        Returns:
            float16[n, D] of unit length.

        Raises:
            BadInput: a picture cannot be read, and which.
        """
        if not len(pictures):
            return np.empty((0, self.record.dimension), np.float16)
        # Pillow lets go of the interpreter's lock while it decodes and resizes.
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
            return self._unit_length(self.network(self._batches(pictures, threads)))

    def _batches(self, pictures: Sequence[str | Path | bytes], threads: Executor) -> Iterator[Pixels]:
        """Prepared a batch ahead, while the network is at work."""
        ahead: deque[Iterator[Pixels]] = deque()
        for start in range(0, len(pictures), self.batch):
            part = pictures[start : start + self.batch]
            names = (
                f"picture {start + at}" if isinstance(source, bytes) else "" for at, source in enumerate(part)
            )
            ahead.append(threads.map(self.prepare, part, names))
            if len(ahead) > 1:
                yield np.stack(list(ahead.popleft()))
        while ahead:
            yield np.stack(list(ahead.popleft()))

    def embed_squares(self, squares: Pixels) -> F16:
        """Embeddings of prepared pictures.

        Args:
            squares: uint8[n, side, side, 3] from `prepare`.

        Returns:
            float16[n, D] of unit length.

        Raises:
            BadInput: another shape, or the model makes no vector of a picture (`bad_embeddings`).
        """
        side = self.preparation.side
        if squares.dtype != np.uint8 or squares.shape[1:] != (side, side, 3):
            raise BadInput(
                f"{self.record.name} takes bytes of shape (n, {side}, {side}, 3), not {squares.dtype} of "
                f"{squares.shape}",
                code="bad_embeddings",
            )
        if not len(squares):
            return np.empty((0, self.record.dimension), np.float16)
        output = self.network(squares[at : at + self.batch] for at in range(0, len(squares), self.batch))
        return self._unit_length(output)

    def _unit_length(self, output: F32) -> F16:
        length = np.linalg.norm(output.astype(np.float64), axis=1)
        usable = np.isfinite(length) & (length > 0)
        if not usable.all():
            raise BadInput(
                f"{self.record.id} makes no vector of picture {int(np.argmin(usable))} of {len(output)}",
                code="bad_embeddings",
            )
        return np.asarray(output / length[:, None], np.float16)
