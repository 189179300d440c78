"""Writing the model: weights, card, receipt and the signed statement that binds them, all or nothing."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from optout.errors import OptoutError
from optout.filter.atomic import sha256_of
from optout.keys import PrivateKey
from optout.model_statement import MODEL_STATEMENT_NAME, make_model_statement, sign_model_statement
from optout.parents import digests_of
from optout.receipt import RECEIPT_NAME, Subject
from trainer.card import CardFacts, model_card
from trainer.disk import is_full
from trainer.models.parts import Parts
from trainer.models.weights import write_weights
from trainer.settings import template
from trainer.settings.load import as_tables

__all__ = ["Written", "write_model"]

_WEIGHTS = (".safetensors", ".bin")


@dataclass(frozen=True)
class Written:
    """A model on disk: where, and its statement's path, or None if it is unsigned."""

    path: Path
    statement: Path | None


def write_model(
    out: Path, parts: Parts, facts: CardFacts, key: PrivateKey | None, started: datetime
) -> Written:
    """Write the model as its parts stand now.

    Args:
        out: directory; replaced if there is one.
        parts: the model, with the weights that are meant.
        facts: for card and statement.
        key: signs the statement; without it there is none.
        started: when the run began.

    Raises:
        OptoutError: the disk is full or cannot be written; an earlier model stays as it is.
    """
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        write_weights(part, parts, facts.name)
        _write_texts(part, facts)
        _open_up(part)
        if key is not None:
            files = [Subject(path.relative_to(part).as_posix(), sha256_of(path)) for path in _files(part)]
            statement = make_model_statement(files, _predicate(facts, started))
            (part / MODEL_STATEMENT_NAME).write_bytes(sign_model_statement(statement, key))
        shutil.rmtree(out, ignore_errors=True)
        part.rename(out)
    except Exception as error:
        # The libraries that write weights have errors of their own, which do not say what was the matter.
        code = "disk_full" if is_full(error) else "write_failed"
        raise OptoutError(
            f"cannot write the model {out}: {error}; the checkpoints stay, so make room and run the same "
            "command again to write it",
            code=code,
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return Written(out, out / MODEL_STATEMENT_NAME if key is not None else None)


def _files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _open_up(folder: Path) -> None:
    """Let whoever may read the card read the weights too, which safetensors writes for the owner alone."""
    mode = (folder / "README.md").stat().st_mode
    for path in _files(folder):
        path.chmod(mode)


def _write_texts(folder: Path, facts: CardFacts) -> None:
    (folder / "README.md").write_text(model_card(facts), "utf-8")
    (folder / "config.toml").write_text(template(facts.settings), "utf-8")
    (folder / RECEIPT_NAME).write_bytes(facts.admission.receipt.read_bytes())
    if facts.settings.output.license_file:
        shutil.copyfile(facts.settings.output.license_file, folder / "LICENSE")


def _predicate(facts: CardFacts, started: datetime) -> dict[str, Any]:
    """What the statement says beside the digests of the files."""
    predicate = facts.admission.predicate
    return {
        "receipt": {
            "sha256": facts.admission.receipt_sha256,
            "snapshot": facts.admission.snapshot,
            "checkpoint": predicate["snapshot"]["checkpoint"],
            "question": predicate["question"],
            "counts": predicate["counts"],
            "parents": digests_of(predicate),
        },
        "checked_against": facts.checked,
        "data": {
            "distinct": facts.history.distinct,
            "pictures": facts.history.pictures,
            "skipped": facts.history.skips,
            "notes": dict(facts.history.notes),
        },
        "base": _weights_of(facts.base),
        "frozen": {
            "autoencoder": _weights_of(facts.settings.model.vae),
            "text_encoder": _weights_of(facts.settings.model.text_encoder, "text_encoder/"),
        },
        "settings": as_tables(facts.settings),
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "tools": _tools(),
    }


def _weights_of(model: str | None, below: str = "") -> Mapping[str, Any] | None:
    """A model that was begun with: its weights' digests, and its own statement's if it has one."""
    if not model:
        return None
    folder = Path(model).resolve()
    paths = [path for path in _files(folder) if path.suffix in _WEIGHTS or path.name == MODEL_STATEMENT_NAME]
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {
        "name": folder.name,
        "files": {name: sha256_of(path) for name, path in names.items() if name.startswith(below)},
    }


def _tools() -> dict[str, str]:
    from importlib.metadata import version

    return {
        "torch": torch.__version__,
        **{name: version(name) for name in ("diffusers", "transformers", "accelerate")},
    }
