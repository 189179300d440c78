"""Batches as tensors, made ready by a thread while the model works."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

import torch

from trainer.data.stream import Batch, Place, Stream

__all__ = ["Loader", "TensorBatch"]

#: Captions to token ids, int64[batch, tokens].
Tokenize = Callable[[list[str]], torch.Tensor]


@dataclass(frozen=True)
class TensorBatch:
    """A batch as the model takes it.

    Attributes:
        pixels: uint8[batch, 3, height, width].
        ids: int64[batch, tokens].
        source: the samples it was made of.
    """

    pixels: torch.Tensor
    ids: torch.Tensor
    source: Batch


class Loader:
    """Iterates over batches that a thread reads ahead.

    Attributes:
        waited: seconds that the consumer had to wait, so far.
    """

    def __init__(self, stream: Stream, tokenize: Tokenize, *, ahead: int, pin: bool = False) -> None:
        self._stream = stream
        self._tokenize = tokenize
        self._ready: queue.Queue[TensorBatch | BaseException] = queue.Queue(ahead)
        self._stopped = threading.Event()
        self._pin = pin
        self.waited = 0.0

    @contextmanager
    def running(self, place: Place) -> Iterator["Loader"]:
        """Read ahead from `place` while the block runs."""
        thread = threading.Thread(target=self._fill, args=(place,), name="input", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stopped.set()
            # Whoever waits for room finds it, and then that nobody wants more.
            with suppress(queue.Empty):
                while True:
                    self._ready.get_nowait()
            thread.join()

    def __iter__(self) -> "Loader":
        return self

    def __next__(self) -> TensorBatch:
        """The next batch. Raises what reading raised."""
        start = time.perf_counter()
        found = self._ready.get()
        self.waited += time.perf_counter() - start
        if isinstance(found, BaseException):
            raise found
        return found

    def _fill(self, place: Place) -> None:
        try:
            with closing(self._stream.batches(place)) as batches:
                for batch in batches:
                    if not self._put(self._tensors(batch)):
                        return
        except BaseException as error:  # noqa: BLE001
            # It belongs to whoever asks for the next batch.
            self._put(error)

    def _put(self, item: TensorBatch | BaseException) -> bool:
        while not self._stopped.is_set():
            with suppress(queue.Full):
                self._ready.put(item, timeout=0.2)
                return True
        return False

    def _tensors(self, batch: Batch) -> TensorBatch:
        pixels = torch.from_numpy(batch.pixels).permute(0, 3, 1, 2).contiguous()
        ids = self._tokenize([sample.caption for sample in batch.samples])
        if self._pin:
            pixels, ids = pixels.pin_memory(), ids.pin_memory()
        return TensorBatch(pixels, ids, batch)
