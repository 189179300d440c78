"""Checkpoints: directories that appear whole or not at all, and are checked before they are trusted."""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save

from optout.errors import OptoutError
from optout.filter.atomic import ensure_directory, write_atomic

__all__ = ["Checkpoint", "latest_checkpoint", "save_checkpoint"]

_WEIGHTS, _OPTIMIZER, _STATE = "weights.safetensors", "optimizer.pt", "state.json"
_PREFIX = "step-"


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a run needs to go on as if nothing had happened.

    Attributes:
        step: optimiser steps done.
        weights: what is trained and its average, by name.
        optimizer: its state, and the scaler's of fp16.
        state: the rest, as JSON.
    """

    step: int
    weights: dict[str, torch.Tensor]
    optimizer: Any
    state: Mapping[str, Any]


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep: int) -> Path:
    """Write a checkpoint below `folder`, then remove all but the newest `keep`.

    Raises:
        OptoutError: the disk is full (`disk_full`) or cannot be written; earlier checkpoints stay as they
            are.
    """
    ensure_directory(folder)
    target = folder / f"{_PREFIX}{checkpoint.step:08d}"
    part = folder / f".{target.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir()
        contents = {_WEIGHTS: save(checkpoint.weights), _OPTIMIZER: _pickled(checkpoint.optimizer)}
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        state = {**checkpoint.state, "step": checkpoint.step, "files": digests}
        contents[_STATE] = json.dumps(state).encode()
        for name, content in contents.items():
            write_atomic(part / name, partial(Path.write_bytes, data=content))
        shutil.rmtree(target, ignore_errors=True)
        part.rename(target)
    except OptoutError as error:
        kept = _steps(folder)
        raise OptoutError(f"{error}; {_what_stays(kept)}", code=error.code) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    _sync(folder)
    for old in _steps(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def _what_stays(kept: list[Path]) -> str:
    if not kept:
        return "there is no earlier checkpoint; make room and run the same command again"
    return f"{kept[-1]} stays; make room and run the same command to go on from there"


def _pickled(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _steps(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob(f"{_PREFIX}*") if path.is_dir())


def latest_checkpoint(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest whole checkpoint, and a sentence for each one passed over because it is not whole."""
    complaints: list[str] = []
    for path in reversed(_steps(folder)):
        try:
            return _read(path), complaints
        except (OSError, ValueError, KeyError, RuntimeError, EOFError) as error:
            complaints.append(f"{path} is not whole ({error}); an earlier checkpoint is taken")
    return None, complaints


def _read(path: Path) -> Checkpoint:
    state = json.loads((path / _STATE).read_bytes())
    contents = {}
    for name, digest in state["files"].items():
        contents[name] = (path / name).read_bytes()
        if hashlib.sha256(contents[name]).hexdigest() != digest:
            raise ValueError(f"{name} was changed or is cut off")
    optimizer = torch.load(io.BytesIO(contents[_OPTIMIZER]), map_location="cpu", weights_only=True)
    return Checkpoint(state["step"], load(contents[_WEIGHTS]), optimizer, state)
