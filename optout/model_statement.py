"""The statement that binds a model's files to the receipt of what it was trained on.

An in-toto Statement v1 in a DSSE envelope, as a receipt is. Its subjects are all files of the model by
SHA-256; the predicate names the receipt by its digest, and says what of its data was used and how
(docs/trainer.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from optout import dsse
from optout.errors import BadInput, DoesNotHold
from optout.keys import PrivateKey, PublicKey
from optout.parents import check_parents
from optout.receipt import (
    PAYLOAD_TYPE,
    RECEIPT_NAME,
    STATEMENT_TYPE,
    Finding,
    Subject,
    Verification,
    read_statement,
)

__all__ = [
    "MODEL_PREDICATE_TYPE",
    "MODEL_STATEMENT_NAME",
    "is_model",
    "make_model_statement",
    "sign_model_statement",
    "verify_model",
]

MODEL_STATEMENT_NAME = "provenance.json"
MODEL_PREDICATE_TYPE = "https://optout-registry.org/model/v1"
# Each makes a directory a model: its statement, a pipeline, a low-rank update.
_MARKS = (MODEL_STATEMENT_NAME, "model_index.json", "pytorch_lora_weights.safetensors")


def is_model(folder: Path) -> bool:
    """Whether a directory looks like a model that a trainer wrote, signed or not."""
    return any((folder / name).is_file() for name in _MARKS)


def make_model_statement(files: Iterable[Subject], predicate: Mapping[str, Any]) -> dict[str, Any]:
    """The statement about a model's files; `predicate` has at least `receipt`: its `sha256`, `snapshot`."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(files)],
        "predicateType": MODEL_PREDICATE_TYPE,
        "predicate": dict(predicate),
    }


def sign_model_statement(statement: Mapping[str, Any], key: PrivateKey) -> bytes:
    """The envelope that is written beside the weights."""
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    return dsse.sign(payload, PAYLOAD_TYPE, key)


def verify_model(folder: str | Path, trust: Sequence[PublicKey]) -> Verification:
    """Check a model's files against its statement, and that the receipt beside them is the one it names.

    Everything is read anew. If the signature does not hold nothing else is looked at.

    Raises:
        BadInput: there is no such directory (`no_such_file`).
    """
    path = Path(folder)
    if not path.is_dir():
        raise BadInput(f"{path}: no such directory", code="no_such_file")
    if not (path / MODEL_STATEMENT_NAME).is_file():
        detail = f"{path} has no {MODEL_STATEMENT_NAME}: nobody states what this model was trained on"
        return Verification([Finding(False, "signature", "unsigned_model", detail)], None)
    try:
        statement, signer = _read(path / MODEL_STATEMENT_NAME, trust)
    except DoesNotHold as error:
        return Verification([Finding(False, "signature", error.code, str(error))], None)
    findings = [Finding(True, "signature", "ok", f"signed by a trusted key ({signer.key_id[:16]})")]
    findings += _check_files(statement, path)
    findings += _check_receipt(statement, path, trust)
    return Verification(findings, statement)


def _read(path: Path, trust: Sequence[PublicKey]) -> tuple[dict[str, Any], PublicKey]:
    envelope = dsse.read_envelope(path.read_bytes(), PAYLOAD_TYPE)
    payload, signer = envelope.payload_trusted_by(trust)
    statement = json.loads(payload)
    kinds = (statement.get("_type"), statement.get("predicateType")) if isinstance(statement, dict) else None
    if kinds != (STATEMENT_TYPE, MODEL_PREDICATE_TYPE):
        raise DoesNotHold(
            f"{path} states something else than a training run: {kinds}", code="wrong_statement"
        )
    return dict(statement), signer


def _check_files(statement: Mapping[str, Any], folder: Path) -> Iterator[Finding]:
    from optout.filter.atomic import sha256_of

    expected = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    for name, digest in expected.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            yield Finding(False, name, "outside", f"{name} points outside the model")
        elif not path.is_file():
            yield Finding(False, name, "missing_file", f"{name} is missing")
        elif sha256_of(path) != digest:
            yield Finding(False, name, "changed_file", f"{name} was changed: its SHA-256 is another")
        else:
            yield Finding(True, name, "ok", "unchanged")
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        folder_of_ours = path.is_dir() and not path.is_symlink()
        if not folder_of_ours and name not in expected and name != MODEL_STATEMENT_NAME:
            yield Finding(False, name, "extra_file", f"{name} is not among the files of the statement")


def _check_receipt(
    statement: Mapping[str, Any], folder: Path, trust: Sequence[PublicKey]
) -> Iterator[Finding]:
    """The receipt beside the weights: the one trained on, signed by a trusted key, as its parents are."""
    from optout.filter.atomic import sha256_of

    said = statement["predicate"]["receipt"]
    path = folder / RECEIPT_NAME
    if not path.is_file() or sha256_of(path) != said["sha256"]:
        detail = f"{path} is not the receipt ({said['sha256'][:16]}…) that the model was trained on"
        yield Finding(False, "receipt", "other_receipt", detail)
        return
    try:
        receipt = read_statement(path, trust)
    except DoesNotHold as error:
        yield Finding(False, "receipt", error.code, f"the receipt beside the model: {error}")
        return
    if receipt["predicate"]["snapshot"]["digest"] != said["snapshot"]:
        yield Finding(
            False, "receipt", "other_snapshot", "the statement names another snapshot than its receipt"
        )
        return
    kept = receipt["predicate"]["counts"]["kept"]
    yield Finding(
        True, "receipt", "ok", f"trained on {kept:,} items that snapshot {said['snapshot'][:16]} let pass"
    )
    yield from check_parents(receipt["predicate"], trust)
