"""What has to be known of a model before two of its embeddings may be compared.

No two models share a space, nor does one model with two ways of preparing pictures, so all that is part of
the record and, shortened, of the id that goes with every vector.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from optout.embeddings.value import is_model_id
from optout.errors import BadInput, cannot_write

__all__ = [
    "ModelRecord",
    "Settings",
    "Thresholds",
    "calibrate",
    "default_thresholds",
    "read_record",
    "read_settings",
    "write_settings",
]

F32 = npt.NDArray[np.float32]

_ID_DIGITS = 16
_RECORD = ("id", "name", "weights", "preparation", "dimension", "centre", "thresholds")
_CHUNK = 1024


class Thresholds(NamedTuple):
    """Least cosine of two embeddings of the model: from `match` on a match, from `review` on for review."""

    match: float
    review: float


#: CLIP tells subjects apart, not pictures: two photographs of one motif reach 0.9. SSCD tells pictures apart.
_CLIP, _COPY_DETECTION = Thresholds(0.96, 0.93), Thresholds(0.75, 0.5)


class Settings(NamedTuple):
    """What somebody measured for a model, kept beside its weights as `<weights>.json`.

    Attributes:
        thresholds: or None for the defaults.
        centre: float32[D], the mean of many unrelated pictures' embeddings, or None.
    """

    thresholds: Thresholds | None = None
    centre: F32 | None = None


@dataclass(frozen=True)
class ModelRecord:
    """A model's identity.

    Attributes:
        name: the architecture as its makers call it, `ViT-B/32`; of copy detection `sscd-` and its side.
        weights: SHA-256 of the file of weights, hexadecimal.
        preparation: what is done to a picture before the model sees it, in words.
        dimension: of its embeddings.
        thresholds: least cosines.
        centre: float32[D] subtracted before codes are made; zeros where nobody measured one.
    """

    name: str
    weights: str
    preparation: str
    dimension: int
    thresholds: Thresholds
    centre: F32 = field(repr=False)

    @property
    def id(self) -> str:
        """What is written into every embedding: the name and the beginning of the weights' digest."""
        return f"{self.name}@{self.weights[:_ID_DIGITS]}"

    def with_settings(self, settings: Settings) -> "ModelRecord":
        """The same model with what somebody measured for it."""
        centre = self.centre if settings.centre is None else settings.centre
        return replace(self, thresholds=settings.thresholds or self.thresholds, centre=centre)

    def as_dict(self) -> dict[str, Any]:
        """The record for manifests and receipts; the centre as its SHA-256."""
        return {
            "id": self.id,
            "name": self.name,
            "weights": self.weights,
            "preparation": self.preparation,
            "dimension": self.dimension,
            "centre": hashlib.sha256(self.centre.astype("<f4").tobytes()).hexdigest(),
            "thresholds": self.thresholds._asdict(),
        }


def read_record(path: Path) -> dict[str, Any]:
    """A record as `as_dict` makes it, from a JSON file, for the snapshot of claims by that model.

    Raises:
        BadInput: the file holds none (`bad_model_record`).
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        record = {name: held[name] for name in _RECORD}
        if not is_model_id(record["id"]):
            raise ValueError(f"{record['id']!r} is not the id of a model")
        if _thresholds_of(record["thresholds"]) is None:
            raise ValueError("it has no thresholds")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(f"{path} holds no record of a model: {error}", code="bad_model_record") from error
    return record


def default_thresholds(model: str) -> Thresholds:
    """The thresholds of a model nobody measured, by the name that its id begins with."""
    return _COPY_DETECTION if model.lower().startswith("sscd") else _CLIP


def calibrate(vectors: npt.NDArray[np.floating]) -> Settings:
    """Centre and thresholds from embeddings of pictures that have nothing to do with each other.

    The closest two set the threshold for review; a match must be twice as close, as 1 - cosine counts.

    Args:
        vectors: float[n, D] of unit length, a hundred at least.

    Raises:
        BadInput: too few pictures, or two that are the same (`bad_reference`).
    """
    if len(vectors) < 100:
        raise BadInput(
            f"{len(vectors)} pictures are too few to measure a model by; 100 at least", code="bad_reference"
        )
    exact = vectors.astype(np.float32)
    closest = max(_closest(exact, start) for start in range(0, len(exact), _CHUNK))
    if closest > 0.995:
        raise BadInput("two pictures of the reference are copies of each other", code="bad_reference")
    thresholds = Thresholds(round((1 + closest) / 2, 4), round(closest, 4))
    return Settings(thresholds, exact.mean(axis=0, dtype=np.float64).astype(np.float32))


def read_settings(path: Path, dimension: int) -> Settings:
    """The settings in a file, none when there is no such file.

    Raises:
        BadInput: it holds something else (`bad_model_settings`).
    """
    if not path.exists():
        return Settings()
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        settings = Settings(_thresholds_of(held.get("thresholds")), _centre_of(held.get("centre")))
    except (OSError, ValueError, TypeError, AttributeError, KeyError, binascii.Error) as error:
        raise BadInput(f"{path} holds no settings of a model: {error}", code="bad_model_settings") from error
    if settings.centre is not None and settings.centre.shape != (dimension,):
        raise BadInput(
            f"{path} has a centre of {len(settings.centre)} dimensions for a model of {dimension}",
            code="bad_model_settings",
        )
    return settings


def write_settings(path: Path, settings: Settings) -> None:
    """Write the file that `read_settings` reads.

    Raises:
        OptoutError: it cannot be written (`unwritable`, `disk_full`, `write_failed`).
    """
    held: dict[str, Any] = {}
    if settings.thresholds is not None:
        held["thresholds"] = settings.thresholds._asdict()
    if settings.centre is not None:
        held["centre"] = base64.b64encode(settings.centre.astype("<f4").tobytes()).decode()
    try:
        path.write_text(json.dumps(held, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise cannot_write(path, error) from error


def _closest(vectors: F32, start: int) -> float:
    """The largest cosine of the vectors from `start` on, a chunk of them, with any that comes before."""
    part = vectors[start : start + _CHUNK]
    cosines = part @ vectors[: start + len(part)].T
    own = np.arange(len(part))
    # Of each pair once, and no vector with itself.
    cosines[np.arange(cosines.shape[1])[None, :] >= (own + start)[:, None]] = -1
    return float(cosines.max())


def _thresholds_of(held: Any) -> Thresholds | None:
    if held is None:
        return None
    match, review = float(held["match"]), float(held["review"])
    if not 0 < review <= match < 1:
        raise ValueError(f"thresholds {match} and {review}; wanted 0 < review <= match < 1")
    return Thresholds(match, review)


def _centre_of(held: Any) -> F32 | None:
    if held is None:
        return None
    centre = np.frombuffer(base64.b64decode(held, validate=True), "<f4").astype(np.float32)
    if not np.isfinite(centre).all():
        raise ValueError("the centre holds a number that is not finite")
    return centre
