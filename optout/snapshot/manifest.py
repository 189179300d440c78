"""The manifest: what a snapshot consists of, in canonical JSON that is signed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any

from optout.errors import DoesNotHold

__all__ = [
    "ENVELOPE_NAME",
    "MANIFEST_NAME",
    "PAYLOAD_TYPE",
    "VERSION",
    "FileEntry",
    "Manifest",
    "SegmentEntry",
    "canonical_json",
]

VERSION = 1
MANIFEST_NAME = "manifest.json"
ENVELOPE_NAME = "manifest.dsse.json"
PAYLOAD_TYPE = "application/vnd.optout.snapshot.manifest+json"


@dataclass(frozen=True)
class FileEntry:
    """One file of the snapshot: its digest in hex, its size in bytes, the rows of its record batch."""

    sha256: str
    size: int
    rows: int


@dataclass(frozen=True)
class SegmentEntry:
    """One segment: its folder under `segments/`, its claims, and its entries by selector kind."""

    name: str
    claims: int
    counts: Mapping[str, int]
    withdrawn: int = 0


@dataclass(frozen=True)
class Manifest:
    """Everything that is signed about a snapshot.

    Attributes:
        sip_key: 32 hex digits, the key of every hash in the snapshot.
        segments: the base first, then the deltas in the order they were made.
        files: by path relative to the snapshot, with `/`.
        checkpoint: what the log said when the claims were read; None for a snapshot built from files.
        previous: digest of the snapshot this one carries on from.
        thresholds: bounds of each tier of picture evidence.
        models: the embedding models whose codes the snapshot holds.
    """

    sip_key: str
    segments: tuple[SegmentEntry, ...]
    files: Mapping[str, FileEntry]
    checkpoint: Mapping[str, Any] | None = None
    previous: str | None = None
    thresholds: Mapping[str, Any] = field(default_factory=dict)
    models: tuple[Any, ...] = ()
    version: int = VERSION

    def to_bytes(self) -> bytes:
        """The content of `manifest.json`: the same manifest gives the same bytes."""
        return canonical_json(asdict(self))

    @property
    def digest(self) -> str:
        """SHA-256 of `manifest.json` in hex: the name of this snapshot."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @property
    def counts(self) -> dict[str, int]:
        """Entries by selector kind over all segments."""
        total: dict[str, int] = {}
        for segment in self.segments:
            for kind, count in segment.counts.items():
                total[kind] = total.get(kind, 0) + count
        return total

    @classmethod
    def from_bytes(cls, content: bytes) -> "Manifest":
        """Read `manifest.json`.

        Raises:
            DoesNotHold: not a manifest (`bad_manifest`), or one of a later version (`bad_version`).
        """
        try:
            raw = json.loads(content)
            version = raw["version"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise DoesNotHold("manifest.json is not a snapshot's manifest", code="bad_manifest") from None
        if version != VERSION:
            raise DoesNotHold(
                f"manifest.json has version {version!r}; this program reads version {VERSION}",
                code="bad_version",
            )
        try:
            made = _from_json(raw)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DoesNotHold(f"manifest.json is not well formed: {error}", code="bad_manifest") from None
        if made.to_bytes() != content:
            # One manifest, one spelling: otherwise two digests would name the same snapshot.
            raise DoesNotHold("manifest.json is not in canonical form", code="bad_manifest")
        return made


def _from_json(raw: dict[str, Any]) -> Manifest:
    segments = tuple(SegmentEntry(**entry) for entry in raw["segments"])
    files = {name: FileEntry(**entry) for name, entry in raw["files"].items()}
    for name, file in files.items():
        _require_inside(name)
        _require_numbers(file.size, file.rows)
    for segment in segments:
        _require_inside(f"segments/{segment.name}")
        _require_numbers(segment.claims, segment.withdrawn, *segment.counts.values())
    if len(bytes.fromhex(raw["sip_key"])) != 16:
        raise ValueError("sip_key is not 16 bytes")
    return Manifest(**{**raw, "segments": segments, "files": files, "models": tuple(raw["models"])})


def _require_numbers(*values: Any) -> None:
    for value in values:
        if type(value) is not int or value < 0:
            raise ValueError(f"{value!r} is not a count")


def _require_inside(name: str) -> None:
    parts = PurePosixPath(name).parts
    if (
        not parts
        or name.startswith("/")
        or "\\" in name
        or any(part in {"", ".", ".."} for part in name.split("/"))
    ):
        raise ValueError(f"{name!r} is not a path inside the snapshot")


def canonical_json(content: Any) -> bytes:
    """JSON with sorted keys, no spaces, UTF-8, no NaN; the same content gives the same bytes."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()
