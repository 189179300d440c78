"""The value of a `clip` selector: `oce1:<model>:<vector>`, the vector as base64url of little-endian float16.

The model is named with every vector, since vectors of different models say nothing about each other.
"""

import base64
import binascii
import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from optout.errors import BadInput, InvalidSelector

__all__ = [
    "DIMENSION_STEP",
    "MAX_DIMENSION",
    "EmbeddingValue",
    "check_vectors",
    "format_embedding",
    "is_model_id",
    "parse_embedding",
]

DIMENSION_STEP = 64
MAX_DIMENSION = 4096

_VERSION = "oce1"
_CODE = "invalid_embedding"
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/@+-]{0,99}")
_BASE64 = re.compile(r"[A-Za-z0-9_-]*")
#: Float16 keeps a length within 0.0005; programs that divide in float16 are off by a few thousandths.
_LENGTH_TOLERANCE = 0.01

F16 = npt.NDArray[np.float16]


class EmbeddingValue(NamedTuple):
    """An embedding and the model it comes from.

    Attributes:
        model: id of the model, for example `ViT-B/32@40d365715913c9da`.
        vector: float16[D] of unit length, D a multiple of 64.
    """

    model: str
    vector: F16


def is_model_id(text: str) -> bool:
    """Whether `text` can stand for a model: letters, digits and `._/@+-`, 100 at most."""
    return _MODEL.fullmatch(text) is not None


def format_embedding(model: str, vector: npt.NDArray[np.floating]) -> str:
    """The selector value of a vector.

    Args:
        model: id of the model.
        vector: float[D] of unit length.

    Raises:
        InvalidSelector: the id or the vector cannot be used (`invalid_embedding`).
    """
    if not is_model_id(model):
        raise InvalidSelector(f"{model[:100]!r} is not the id of a model", code=_CODE)
    with np.errstate(over="ignore"):
        rounded = vector.astype("<f2")
    _check_one(rounded)
    text = base64.urlsafe_b64encode(rounded.tobytes()).decode().rstrip("=")
    return f"{_VERSION}:{model}:{text}"


def parse_embedding(text: str) -> EmbeddingValue:
    """The model and the vector of a selector value.

    Raises:
        InvalidSelector: it is not an embedding that can be used, and why (`invalid_embedding`).
    """
    version, _, rest = text.strip().partition(":")
    if version != _VERSION:
        raise InvalidSelector(f"an embedding begins with {_VERSION}:", code=_CODE)
    model, colon, body = rest.partition(":")
    if not colon or not is_model_id(model):
        raise InvalidSelector(
            f"{model[:100]!r} is not the id of a model; an embedding is {_VERSION}:<model>:<vector>",
            code=_CODE,
        )
    vector = np.frombuffer(_bytes_of(body), "<f2").astype(np.float16)
    _check_one(vector)
    return EmbeddingValue(model, vector)


def check_vectors(vectors: npt.NDArray[np.floating], name: str) -> npt.NDArray[np.bool_]:
    """Which rows are embeddings of unit length; a picture without one has a row of zeros, say.

    Args:
        vectors: float[n, D].
        name: what errors call the array.

    Returns:
        bool[n], False for rows that are not finite or not of unit length.

    Raises:
        BadInput: the array has the wrong shape, type or dimension (`bad_embeddings`).
    """
    if vectors.ndim != 2 or vectors.dtype.kind != "f":
        raise BadInput(
            f"{name} holds {vectors.dtype} of shape {vectors.shape}, not floating-point rows of vectors",
            code="bad_embeddings",
        )
    if reason := _bad_dimension(vectors.shape[1]):
        raise BadInput(f"{name}: {reason}", code="bad_embeddings")
    usable = np.empty(len(vectors), np.bool_)
    for start in range(0, len(vectors), 8192):
        part = vectors[start : start + 8192].astype(np.float32)
        with np.errstate(invalid="ignore", over="ignore"):
            length = np.sqrt(np.einsum("ij,ij->i", part, part))
            usable[start : start + 8192] = np.abs(length - 1) <= _LENGTH_TOLERANCE
    return usable


def _bytes_of(body: str) -> bytes:
    body = body.rstrip("=")
    if not _BASE64.fullmatch(body):
        raise InvalidSelector("the vector is not written in base64url", code=_CODE)
    try:
        data = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except binascii.Error:
        raise InvalidSelector("the vector's base64url is cut short", code=_CODE) from None
    if len(data) % 2:
        raise InvalidSelector(f"{len(data)} bytes are no whole number of float16", code=_CODE)
    return data


def _bad_dimension(dimension: int) -> str:
    if dimension and dimension % DIMENSION_STEP == 0 and dimension <= MAX_DIMENSION:
        return ""
    return (
        f"a vector has {dimension} dimensions, which is no multiple of {DIMENSION_STEP} "
        f"from {DIMENSION_STEP} to {MAX_DIMENSION}"
    )


def _check_one(vector: F16) -> None:
    if vector.ndim != 1:
        raise InvalidSelector(f"an embedding is one vector, not an array of {vector.shape}", code=_CODE)
    if reason := _bad_dimension(len(vector)):
        raise InvalidSelector(reason, code=_CODE)
    if not np.isfinite(vector).all():
        raise InvalidSelector("the vector holds a number that is not finite", code=_CODE)
    length = float(np.linalg.norm(vector.astype(np.float32)))
    if abs(length - 1) > _LENGTH_TOLERANCE:
        raise InvalidSelector(f"the vector has the length {length:.3g}, not 1", code=_CODE)
