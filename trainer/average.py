"""The moving average of the weights: what is sampled from and written out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["Average"]


class Average:
    """An exponential moving average in single precision.

    Args:
        parameters: what is averaged.
        decay: of the average, per step; 0 keeps none, and then the weights themselves are used.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], decay: float) -> None:
        self._parameters = list(parameters)
        self._decay = decay
        self.values = [each.detach().float().clone() for each in parameters] if decay else []

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the weights after step number `step` in; early steps count less long."""
        if self._decay:
            decay = min(self._decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(self.values, [each.detach().float() for each in self._parameters], 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The average in the model while the block runs."""
        if not self._decay:
            yield
            return
        kept = [each.detach().clone() for each in self._parameters]
        self._write(self.values)
        try:
            yield
        finally:
            self._write(kept)

    @torch.no_grad()
    def _write(self, values: Sequence[torch.Tensor]) -> None:
        for parameter, value in zip(self._parameters, values, strict=True):
            parameter.copy_(value)
