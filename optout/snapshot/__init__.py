"""Snapshots: immutable, signed directories of everything active at a checkpoint, laid out for matching."""

from optout.snapshot.build import build_delta, build_snapshot
from optout.snapshot.explain import Reason
from optout.snapshot.manifest import FileEntry, Manifest, SegmentEntry
from optout.snapshot.reader import Snapshot, open_snapshot
from optout.snapshot.verify import inspect_snapshot, verify_snapshot

__all__ = [
    "FileEntry",
    "Manifest",
    "Reason",
    "SegmentEntry",
    "Snapshot",
    "build_delta",
    "build_snapshot",
    "inspect_snapshot",
    "open_snapshot",
    "verify_snapshot",
]
