"""Which model: `OPTOUT_CLIP_MODEL`, a name that clip knows, or a local file of weights."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from optout.embeddings.identity import ModelRecord, default_thresholds, read_settings
from optout.embeddings.model import EmbeddingModel, Network
from optout.embeddings.onnx_network import OnnxNetwork, onnx_side, open_session
from optout.embeddings.preparation import Preparation, copy_detection_preparation
from optout.embeddings.torch_network import choose_device, clip_network, import_clip, script_network
from optout.embeddings.value import DIMENSION_STEP, MAX_DIMENSION
from optout.errors import BadInput

__all__ = ["DEFAULT_MODEL", "load_model", "settings_path", "weights_of"]

DEFAULT_MODEL = "ViT-B/32"

_VARIABLE = "OPTOUT_CLIP_MODEL"
_COPY_DETECTION = "sscd:"
_COPY_DETECTION_SIDE = 320
_BATCHES = {"cpu": 32, "cuda": 256}


class _Loaded(NamedTuple):
    name: str
    network: Network
    preparation: Preparation
    dimension: int


def load_model(
    spec: str | Path | None = None,
    *,
    device: str | None = None,
    precision: str | None = None,
    compiled: bool = False,
    batch: int | None = None,
) -> EmbeddingModel:
    """Load a model.

    Args:
        spec: a name that clip knows (`ViT-B/32`, `ViT-L/14`; clip fetches what its cache lacks), the path of
            a CLIP checkpoint in OpenAI's format, or `sscd:` and the path of a copy-detection model in
            TorchScript or ONNX (`.onnx`). `OPTOUT_CLIP_MODEL` when left out, else ViT-B/32.
        device: as torch names it; the GPU where there is one when left out.
        precision: of CLIP, `float32`, `float16` or `bfloat16`; half on a GPU when left out.
        compiled: have torch.compile write CLIP's code anew, 1.2 times as fast on a GPU: pays from 200,000
            pictures on with ViT-L/14, from two million with ViT-B/32.
        batch: pictures at a time; 256 on a GPU and 32 elsewhere when left out.

    Raises:
        BadInput: there is no such model, or the file is none (`unknown_model`, `bad_model`,
            `bad_model_settings`).
        UsageError: what runs it is not installed, or no such precision (`embeddings_not_installed`,
            `unknown_precision`).
    """
    weights, copy_detection = _weights(_named(spec))
    if copy_detection and weights.suffix == ".onnx":
        device = device or "cpu"
        loaded = _load_onnx(weights, device)
    else:
        device, precision = choose_device(device, precision)
        if copy_detection:
            loaded = _load_script(weights, device)
        else:
            loaded = _load_clip(weights, device=device, precision=precision, compiled=compiled)
    size = batch or _BATCHES["cuda" if device.startswith("cuda") else "cpu"]
    return EmbeddingModel(_record(weights, loaded), loaded.preparation, loaded.network, size)


def weights_of(spec: str | Path | None = None) -> Path:
    """The file of weights that `load_model` takes for a spec.

    Raises:
        BadInput: there is none (`unknown_model`).
    """
    return _weights(_named(spec))[0]


def settings_path(weights: Path) -> Path:
    """Where a model's measured settings are, beside its weights."""
    return weights.with_name(weights.name + ".json")


def _named(spec: str | Path | None) -> str:
    return str(spec or os.environ.get(_VARIABLE) or DEFAULT_MODEL)


def _weights(spec: str) -> tuple[Path, bool]:
    """The file of a spec's weights, and whether it is a copy-detection model."""
    path = Path(spec.removeprefix(_COPY_DETECTION)).expanduser()
    if path.is_file():
        return path, spec.startswith(_COPY_DETECTION)
    if spec.startswith(_COPY_DETECTION) or path.suffix or path.is_absolute():
        raise BadInput(f"{path} is not a file of weights", code="unknown_model")
    return _fetched(spec), False


def _fetched(name: str) -> Path:
    """The file in clip's cache, which clip fetches when it is not there."""
    module = import_clip().clip
    if name not in module.available_models():
        known = ", ".join(module.available_models())
        raise BadInput(f"{name!r} is neither a file nor a model; there are {known}", code="unknown_model")
    cache, address = Path.home() / ".cache" / "clip", str(module._MODELS[name])
    path = cache / address.rsplit("/", 1)[1]
    if not path.is_file():
        try:
            module._download(address, str(cache))
        except (OSError, RuntimeError) as error:
            sentence = f"the weights of {name} are not in {cache} and could not be fetched ({error})"
            raise BadInput(f"{sentence}; {_VARIABLE} may name a file", code="unknown_model") from error
    return path


def _load_clip(path: Path, *, device: str, precision: str, compiled: bool) -> _Loaded:
    network, preparation, dimension, name = clip_network(
        path, device=device, precision=precision, compiled=compiled
    )
    return _Loaded(name, network, preparation, dimension)


def _load_script(path: Path, device: str) -> _Loaded:
    preparation = copy_detection_preparation(_COPY_DETECTION_SIDE)
    return _tried(path, script_network(path, preparation, device=device), preparation)


def _load_onnx(path: Path, device: str) -> _Loaded:
    session = open_session(path, device=device)
    preparation = copy_detection_preparation(onnx_side(session, _COPY_DETECTION_SIDE))
    return _tried(path, OnnxNetwork(session, preparation), preparation)


def _tried(path: Path, network: Network, preparation: Preparation) -> _Loaded:
    """Given two black pictures, to see that it is a model of pictures, and its dimension."""
    side = preparation.side
    try:
        output = network(iter([np.zeros((2, side, side, 3), np.uint8)]))
    except Exception as error:  # whatever the file's own code raises
        raise BadInput(
            f"{path} does not take pictures of {side} x {side}: {error}", code="bad_model"
        ) from error
    if output.ndim != 2 or len(output) != 2:
        raise BadInput(f"{path} gives {output.shape} for two pictures, not two vectors", code="bad_model")
    return _Loaded(f"sscd-{side}", network, preparation, output.shape[1])


def _record(weights: Path, loaded: _Loaded) -> ModelRecord:
    if loaded.dimension % DIMENSION_STEP or not DIMENSION_STEP <= loaded.dimension <= MAX_DIMENSION:
        raise BadInput(
            f"{weights} makes vectors of {loaded.dimension} dimensions, which is no multiple of "
            f"{DIMENSION_STEP} up to {MAX_DIMENSION}",
            code="bad_model",
        )
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    nothing = np.zeros(loaded.dimension, np.float32)
    preparation, thresholds = str(loaded.preparation), default_thresholds(loaded.name)
    record = ModelRecord(loaded.name, digest, preparation, loaded.dimension, thresholds, nothing)
    return record.with_settings(read_settings(settings_path(weights), loaded.dimension))
