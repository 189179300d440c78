"""Small models with random weights, in the formats that real ones come in."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from optout.embeddings.torch_network import import_clip, import_torch

__all__ = ["small_clip", "small_onnx", "small_script"]


def small_clip(path: Path, *, seed: int = 0, embedding: int = 64, archive: bool = False) -> Path:
    """A CLIP checkpoint in OpenAI's format: a plain state_dict, or a TorchScript archive as OpenAI's are."""
    torch, clip = import_torch(), import_clip()
    torch.manual_seed(seed)
    model = clip.model.CLIP(embedding, 64, 2, 128, 16, 77, 100, 64, 1, 1).eval()
    with torch.no_grad():
        # As drawn, it hardly looks at the picture: all embeddings would be alike.
        for name, weights in model.visual.named_parameters():
            weights.mul_(8 if ".attn." in name else 1)
    if not archive:
        torch.save(model.state_dict(), path)
        return path
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = (torch.zeros(1, 3, 64, 64), torch.zeros(1, 77, dtype=torch.int64))
        torch.jit.trace(model, example, check_trace=False).save(str(path))
    return path


def small_script(path: Path, dimension: int = 128) -> Path:
    """A TorchScript model that takes pictures of any size, as SSCD's files do."""
    torch = import_torch()
    torch.manual_seed(1)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, dimension, 8, stride=8), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    ).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module, torch.zeros(1, 3, 64, 64)).save(str(path))
    return path


def small_onnx(path: Path, side: int = 96, dimension: int = 64) -> Path:
    """An ONNX model written byte by byte: the channels' means times a matrix."""
    matrix = np.random.default_rng(2).standard_normal((3, dimension)).astype("<f4")
    nodes = [
        _node("GlobalAveragePool", ["pixels"], "pooled"),
        _node("Flatten", ["pooled"], "means"),
        _node("MatMul", ["means", "matrix"], "vector"),
    ]
    weights = (
        _field(1, 3) + _field(1, dimension) + _field(2, 1) + _field(8, "matrix") + _field(9, matrix.tobytes())
    )
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, "graph") + _field(5, weights)
    graph += _field(11, _value("pixels", ["n", 3, side, side])) + _field(
        12, _value("vector", ["n", dimension])
    )
    path.write_bytes(_field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, 13)))
    return path


def _node(kind: str, inputs: list[str], output: str) -> bytes:
    return b"".join(_field(1, name) for name in inputs) + _field(2, output) + _field(4, kind)


def _value(name: str, shape: list[Any]) -> bytes:
    sizes = b"".join(_field(1, _field(2 if isinstance(size, str) else 1, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, 1) + _field(2, sizes)))


def _field(number: int, value: int | str | bytes) -> bytes:
    """A field of a protocol buffer."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
