"""Models that ONNX Runtime runs: copy detection from an ONNX file."""

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from optout.embeddings.preparation import Pixels, Preparation
from optout.errors import BadInput, UsageError

__all__ = ["OnnxNetwork", "onnx_side", "open_session"]

F32 = npt.NDArray[np.float32]


class OnnxNetwork:
    """A session with one input, float32[n, 3, side, side] normalised, and of its outputs the first.

    Args:
        session: from `open_session`.
        preparation: mean and deviation that the pictures are normalised by.
    """

    def __init__(self, session: Any, preparation: Preparation) -> None:
        self.session = session
        self.mean = np.array(preparation.mean, np.float32).reshape(3, 1, 1)
        self.deviation = np.array(preparation.deviation, np.float32).reshape(3, 1, 1)

    def __call__(self, batches: Iterable[Pixels]) -> F32:
        """Outputs of all batches."""
        return np.concatenate([self._forward(batch) for batch in batches])

    def _forward(self, batch: Pixels) -> F32:
        pixels = np.ascontiguousarray(batch.transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(255)
        given = {self.session.get_inputs()[0].name: (pixels - self.mean) / self.deviation}
        return np.asarray(self.session.run(None, given)[0], np.float32)


def open_session(path: Path, *, device: str) -> Any:
    """A session of ONNX Runtime, on the GPU where it has one and that is wanted.

    Raises:
        UsageError: ONNX Runtime is not installed (`embeddings_not_installed`).
        BadInput: the file is no model with one input (`bad_model`).
    """
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise UsageError(
            f"{path.name} needs onnxruntime, which is not installed: pip install onnxruntime",
            code="embeddings_not_installed",
        ) from error
    wanted = ["CUDAExecutionProvider"] if device.startswith("cuda") else []
    providers = [name for name in wanted if name in runtime.get_available_providers()]
    try:
        session = runtime.InferenceSession(str(path), providers=[*providers, "CPUExecutionProvider"])
    except Exception as error:  # its errors have no base of their own
        raise BadInput(f"{path} is not an ONNX model: {error}", code="bad_model") from error
    if len(session.get_inputs()) != 1:
        raise BadInput(f"{path} takes {len(session.get_inputs())} inputs, not pictures", code="bad_model")
    return session


def onnx_side(session: Any, usual: int) -> int:
    """The side of the input that a session was made for; `usual` where it takes any."""
    shape = session.get_inputs()[0].shape
    side = shape[-1] if shape else None
    return side if isinstance(side, int) else usual
