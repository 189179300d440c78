"""The folder of a run, beside the model: checkpoints, log, samples.

It says what the run was, so that only the same run goes on in it.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optout.errors import BadInput, UsageError
from optout.filter.atomic import ensure_directory, write_atomic
from trainer.settings.load import as_tables
from trainer.settings.schema import Settings
from trainer.settings.template import template

__all__ = ["RunFolder", "open_run", "receipt_of", "run_folder_of"]

_RUN = "run.json"
#: What may change when a run goes on: nothing in it decides the weights of a step.
_FREE = {
    "data": {"workers", "ahead"},
    "run": {"steps", "save_every", "keep", "log_every", "threads"},
    "validation": None,
    "output": None,
}


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps what is not part of the model.

    Attributes:
        path: the folder.
        threads: of torch that the run began with: another number adds up in another order.
    """

    path: Path
    threads: int

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def tokenizer(self) -> Path:
        """The vocabulary that the run learned from its captions when it began."""
        return self.path / "tokenizer"


def run_folder_of(out: Path) -> Path:
    """Where the run that writes the model `out` keeps the rest: `out.run` beside it."""
    resolved = out.resolve()
    return resolved.with_name(f"{resolved.name}.run")


def receipt_of(folder: Path) -> str:
    """SHA-256 of the receipt of the data that the run in `folder` is trained on.

    Raises:
        BadInput: there is no run (`no_run`).
    """
    try:
        return str(json.loads((folder / _RUN).read_bytes())["receipt"])
    except (OSError, ValueError, KeyError):
        raise BadInput(f"there is no run in {folder}", code="no_run") from None


def open_run(
    out: Path, settings: Settings, receipt_sha256: str, *, threads: int, overwrite: bool
) -> RunFolder:
    """The run's folder, new or to go on in; `threads` is what a new run takes.

    Raises:
        UsageError: another run's (`other_run`), or `out` is something else's (`output_exists`).
    """
    folder = RunFolder(run_folder_of(out), threads)
    if overwrite:
        _require_ours(out, "config.toml")
        _require_ours(folder.path, _RUN)
        shutil.rmtree(folder.path, ignore_errors=True)
        shutil.rmtree(out, ignore_errors=True)
    known = folder.path / _RUN
    if not known.exists():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise UsageError(
                f"{out} is there already and {folder.path} is not: use --overwrite or another --out",
                code="output_exists",
            )
        ensure_directory(folder.path)
        content = {"settings": as_tables(settings), "receipt": receipt_sha256, "threads": threads}
        write_atomic(known, lambda path: path.write_text(json.dumps(content, indent=1)))
    else:
        _require_ours(out, "config.toml")
        before = json.loads(known.read_bytes())
        _require_same(before, settings, receipt_sha256, folder.path)
        folder = RunFolder(folder.path, settings.run.threads or before["threads"])
    write_atomic(folder.path / "config.toml", lambda path: path.write_text(template(settings), "utf-8"))
    return folder


def _require_ours(folder: Path, mark: str) -> None:
    """Only what a trainer wrote, which has a file of that name, is removed."""
    if folder.exists() and not (folder.is_dir() and ((folder / mark).exists() or not any(folder.iterdir()))):
        raise UsageError(
            f"{folder} was not written by the trainer; choose another --out", code="output_exists"
        )


def _require_same(before: dict[str, Any], settings: Settings, receipt: str, folder: Path) -> None:
    if before["receipt"] != receipt:
        raise UsageError(
            f"{folder} is of a run on data with another receipt; use --overwrite to train anew, or another "
            "--out",
            code="other_run",
        )
    now = as_tables(settings)
    for table, values in now.items():
        free = _FREE.get(table, set())
        for key, value in values.items():
            known = before["settings"].get(table, {}).get(key)
            if free is not None and key not in free and known != value:
                raise UsageError(
                    f"{folder} is of a run with {table}.{key} = {known!r}, now {value!r}; use --overwrite "
                    "to train anew, or another --out",
                    code="other_run",
                )
