"""Asking another snapshot, a newer one as a rule, about data that passed before."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from optout.engine import Question
from optout.errors import DoesNotHold, UsageError
from optout.filter import ColumnNames, Mode, Settings, filter_dataset
from optout.snapshot import Snapshot
from optout.words import Grade, Use
from trainer.data.files import CoveredFiles
from trainer.data.history import History
from trainer.data.shards import find_shards
from trainer.gate import Admission, filter_again
from trainer.runs import receipt_of, run_folder_of

__all__ = ["OptedOut", "Rechecked", "recheck", "require_still_allowed", "seen_samples"]

_NAMED = 5


class OptedOut(NamedTuple):
    """A sample that may not be trained on any more.

    Attributes:
        name: as the trainer names it, `00000.tar:000000017` or the path of a picture.
        decision: what the snapshot answers.
        reason: the kind of selector that decided.
    """

    name: str
    decision: str
    reason: str


@dataclass(frozen=True)
class Rechecked:
    """What another snapshot says.

    Attributes:
        snapshot: its digest.
        opted_out: the samples that it does not let pass.
    """

    snapshot: str
    opted_out: Sequence[OptedOut]


def recheck(admission: Admission, snapshot: Snapshot) -> Rechecked:
    """Filter admitted data again, without writing it anew: the same question, asked now.

    Raises:
        BadInput: a shard cannot be read.
    """
    if snapshot.digest == admission.snapshot:
        return Rechecked(snapshot.digest, [])
    with tempfile.TemporaryDirectory(prefix="recheck-") as folder:
        filter_dataset(
            admission.data,
            folder,
            snapshot=snapshot,
            question=_question(admission),
            mode=Mode.MASK,
            settings=_settings(admission),
        )
        return Rechecked(snapshot.digest, list(_listed(Path(folder))))


def _question(admission: Admission) -> Question:
    """What was asked before, but of this moment."""
    asked = admission.predicate["question"]
    return Question(
        Use.parse(asked["use"]),
        min_grade=Grade(asked["min_grade"]),
        names=asked["names"],
        evidence=asked.get("evidence", "match"),
        own=asked.get("owner"),
    )


def _settings(admission: Admission) -> Settings:
    used = admission.predicate["settings"]
    return Settings(keep_terms=used["keep_terms"], columns=ColumnNames(**used.get("columns", {})))


def _listed(folder: Path) -> Iterator[OptedOut]:
    """What the lists in `folder` leave out: one beside each tar, or one for each folder of pictures."""
    for path in sorted(folder.rglob("*.parquet")):
        table = pq.read_table(path)
        name = path.relative_to(folder)
        for row in table.to_pylist():
            if "key" in row:
                sample = f"{name.with_suffix('.tar')}:{row['key']}"
            else:
                sample = (name.parent / row["file_name"]).as_posix()
            yield OptedOut(sample, row["decision"], row["reason"] or "")


def require_still_allowed(admission: Admission, snapshot: Snapshot) -> str:
    """Refuse data of which another snapshot does not let everything pass; that snapshot's digest.

    Raises:
        DoesNotHold: something does not pass any more (`opted_out_since`); the first samples are named.
    """
    found = recheck(admission, snapshot)
    if not found.opted_out:
        return found.snapshot
    named = ", ".join(f"{each.name} ({each.decision} by {each.reason})" for each in found.opted_out[:_NAMED])
    more = " …" if len(found.opted_out) > _NAMED else ""
    count = len(found.opted_out)
    raise DoesNotHold(
        f"{count:,} samples of {admission.data} do not pass this newer snapshot: {named}{more}; "
        f"{filter_again(admission.data, admission.predicate)}",
        code="opted_out_since",
    )


def seen_samples(admission: Admission, out: Path) -> tuple[set[str], int]:
    """Names of what the run that writes the model `out` has trained on, and the step of which this is known.

    That is the step of its last checkpoint; 0 and no names if there is none yet.

    Raises:
        BadInput: there is no such run (`no_run`).
        UsageError: it is a run on other data (`other_run`).
    """
    folder = run_folder_of(out)
    if receipt_of(folder) != admission.receipt_sha256:
        raise UsageError(f"{folder} is of a run on data with another receipt", code="other_run")
    shards = find_shards(CoveredFiles(admission.data, admission.files))
    history = History(shard.name for shard in shards)
    states = sorted((folder / "checkpoints").glob("step-*/state.json"))
    state: dict[str, Any] = {"processes": [], "step": 0}
    if states:
        state = json.loads(states[-1].read_bytes())
    for process in state["processes"]:
        history.merge(process["history"])
    by_name = {shard.name: shard for shard in shards}
    names = set()
    for shard_name, numbers in history.seen():
        shard = by_name[shard_name]
        samples = shard.open()
        names |= {
            f"{shard_name}:{samples[at]}" if shard_name.endswith(".tar") else samples[at] for at in numbers
        }
        shard.close()
    return names, state["step"]
