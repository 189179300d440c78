"""Receipts: the signed statement of a filter run, and checking one against what lies on the disk.

A receipt is an in-toto Statement v1 in a DSSE envelope. Its subjects are the output files by SHA-256; the
predicate says what was asked of which snapshot about which inputs, and what came of it (docs/receipts.md).
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from optout import dsse
from optout.errors import BadInput, DoesNotHold
from optout.keys import PrivateKey, PublicKey
from optout.parents import check_parents

if TYPE_CHECKING:
    import pyarrow as pa

    from optout.filter.results import Described, ShardResult

__all__ = [
    "PAYLOAD_TYPE",
    "PREDICATE_TYPE",
    "RECEIPT_NAME",
    "STATEMENT_TYPE",
    "Finding",
    "SnapshotFacts",
    "Subject",
    "Verification",
    "make_statement",
    "open_statement",
    "read_statement",
    "sign_statement",
    "signer_of",
    "statement_in",
    "verify_receipt",
]

RECEIPT_NAME = "receipt.json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://optout-registry.org/receipt/v1"
#: How many domains a receipt names: the bound that the EU's summary sets for small providers.
TOP_DOMAINS = 1000
_TOOLS = ("optout", "pyarrow", "numpy", "numba", "publicsuffixlist")


class Subject(NamedTuple):
    """An output file: path relative to the output directory, SHA-256 in hex."""

    name: str
    sha256: str


@dataclass(frozen=True)
class SnapshotFacts:
    """What a receipt tells of the snapshot that was asked."""

    digest: str
    signed_by: tuple[str, ...]
    checkpoint: Mapping[str, Any] | None
    thresholds: Mapping[str, Any]


class Finding(NamedTuple):
    """One thing that was checked.

    Attributes:
        holds: whether it is as the receipt says.
        what: `signature`, `snapshot`, `parent …` (a receipt that it came after), or an output file's path.
        code: `ok`, or why not: `unknown_key`, `bad_signature`, `changed_file`, `missing_file`, …
        detail: a sentence for people.
    """

    holds: bool
    what: str
    code: str
    detail: str


class Verification(NamedTuple):
    """All findings, and the statement if its signature holds."""

    findings: list[Finding]
    statement: dict[str, Any] | None

    @property
    def holds(self) -> bool:
        return all(finding.holds for finding in self.findings)


def make_statement(
    subjects: Iterable[Subject],
    results: Sequence[ShardResult],
    *,
    snapshot: SnapshotFacts,
    domains: pa.Table,
    started: datetime,
    parents: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """The statement about a finished run.

    Args:
        subjects: the output files.
        results: one for each input; all of one plan, at least one.
        snapshot: what was asked.
        domains: the domains kept, a table of `optout.filter.domains.COUNT_SCHEMA`.
        started: when the run began; it ends now.
        parents: receipts that the inputs came with, as `optout.parents.read_parents` gives them.
    """
    from optout.filter.domains import top_domains
    from optout.filter.results import Counts

    plan = results[0].plan
    top = top_domains(domains, TOP_DOMAINS)
    inputs = [
        {
            "name": name,
            "sha256": file.sha256,
            "bytes": file.bytes,
            # Counted once, where a shard is several files.
            "rows": result.counts.rows if number == 0 else 0,
        }
        for result in results
        for number, (name, file) in enumerate(_own_file_first(result))
    ]
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(subjects)],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "inputs": inputs,
            "snapshot": asdict(snapshot),
            "question": plan["question"],
            "settings": plan["settings"],
            "counts": asdict(sum((result.counts for result in results), Counts())),
            "domains": {
                "domains": domains.num_rows,
                "rows": int(domains["rows"].to_numpy().sum()),
                "top": [{"domain": domain, "rows": rows} for domain, rows in top],
            },
            "started": started.isoformat(timespec="seconds"),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "tools": _tools(),
            "parents": [dict(parent) for parent in parents],
        },
    }


def _own_file_first(result: ShardResult) -> list[tuple[str, Described]]:
    return sorted(result.inputs.items(), key=lambda item: (item[0] != result.name, item[0]))


def _tools() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _TOOLS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            # Run from a checkout that was never installed.
            found[name] = "unknown"
    return found


def sign_statement(statement: Mapping[str, Any], key: PrivateKey) -> bytes:
    """The envelope that is written to `receipt.json`."""
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    return dsse.sign(payload, PAYLOAD_TYPE, key)


def signer_of(path: Path) -> str | None:
    """The key id that a receipt names, unchecked; None if there is no receipt at `path`."""
    try:
        return dsse.read_envelope(path.read_bytes(), PAYLOAD_TYPE).signatures[0][0]
    except (OSError, DoesNotHold, IndexError):
        return None


def read_statement(path: str | Path, trust: Sequence[PublicKey]) -> dict[str, Any]:
    """The statement of a receipt that a trusted key signed.

    Raises:
        BadInput: there is no such file (`no_such_file`).
        DoesNotHold: the signature does not hold, or it is no receipt (`wrong_statement`).
    """
    try:
        envelope = Path(path).read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read the receipt {path}: {error.strerror}", code="no_such_file") from error
    return open_statement(envelope, trust, str(path))


def open_statement(envelope: bytes, trust: Sequence[PublicKey], name: str = "the receipt") -> dict[str, Any]:
    """The statement in a receipt's bytes, which errors call `name`; raises as `read_statement`."""
    return statement_in(dsse.open_envelope(envelope, trust, PAYLOAD_TYPE), name)


def statement_in(payload: bytes, name: str = "the receipt") -> dict[str, Any]:
    """A payload as the statement of a filter run.

    Raises:
        DoesNotHold: it states something else (`wrong_statement`).
    """
    try:
        statement = json.loads(payload)
        kinds = statement["_type"], statement["predicateType"]
    except (ValueError, KeyError, TypeError, RecursionError):
        kinds = None, None
    if kinds != (STATEMENT_TYPE, PREDICATE_TYPE):
        raise DoesNotHold(f"{name} states something else than a filter run: {kinds}", code="wrong_statement")
    return dict(statement)


def verify_receipt(
    path: str | Path,
    data: str | Path,
    trust: Sequence[PublicKey],
    *,
    snapshot: str | Path | None = None,
) -> Verification:
    """Check a receipt against the files in `data`, those it came after, and a snapshot if one is given.

    Everything is read anew. If the signature does not hold nothing else is looked at, since nobody vouches
    for what the receipt says. Hidden files are passed by, as Parquet readers do.

    Raises:
        BadInput: there is no receipt or no directory to check.
    """
    if not Path(data).is_dir():
        raise BadInput(f"{data}: no such directory", code="no_such_file")
    try:
        statement = read_statement(path, trust)
    except DoesNotHold as error:
        return Verification([Finding(False, "signature", error.code, str(error))], None)
    findings = [
        Finding(True, "signature", "ok", f"signed by a trusted key ({(signer_of(Path(path)) or '')[:16]})")
    ]
    findings += _check_files(statement, Path(data), Path(path))
    findings += check_parents(statement["predicate"], trust)
    if snapshot is not None:
        findings.append(_check_snapshot(statement["predicate"]["snapshot"]["digest"], Path(snapshot), trust))
    return Verification(findings, statement)


def _check_files(statement: dict[str, Any], data: Path, receipt: Path) -> Iterator[Finding]:
    expected = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    for name, digest in expected.items():
        yield _check_file(name, digest, data)
    for path in sorted(data.rglob("*")):
        relative = path.relative_to(data)
        hidden = any(part.startswith(".") for part in relative.parts)
        ours = relative.as_posix() in expected or path.resolve() == receipt.resolve()
        if not hidden and not ours and not path.is_dir():
            detail = f"{relative} is not among the files of the receipt"
            yield Finding(False, relative.as_posix(), "extra_file", detail)


def _check_file(name: str, digest: str, data: Path) -> Finding:
    from optout.filter.atomic import sha256_of

    path = data / name
    if not path.resolve().is_relative_to(data.resolve()):
        return Finding(False, name, "outside", f"{name} points outside the data")
    if not path.is_file():
        return Finding(False, name, "missing_file", f"{name} is missing")
    if sha256_of(path) != digest:
        return Finding(False, name, "changed_file", f"{name} was changed: its SHA-256 is another")
    return Finding(True, name, "ok", "unchanged")


def _check_snapshot(digest: str, path: Path, trust: Sequence[PublicKey]) -> Finding:
    from optout.snapshot import open_snapshot, verify_snapshot

    try:
        found = open_snapshot(path).digest
        if found != digest:
            detail = f"{path} is another snapshot ({found[:16]}) than the one that was asked ({digest[:16]})"
            return Finding(False, "snapshot", "other_snapshot", detail)
        verify_snapshot(path, trust=trust)
    except DoesNotHold as error:
        return Finding(False, "snapshot", error.code, str(error))
    return Finding(True, "snapshot", "ok", f"the snapshot that was asked ({digest[:16]}), whole and signed")
