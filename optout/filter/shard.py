"""One shard: a pure function of (input file, snapshot, question, settings) to an output file.

multiprocessing, Ray or Spark map `filter_shard` over paths; nothing else is shared between shards.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from optout.engine import Question
from optout.errors import BadInput
from optout.filter.atomic import sha256_of
from optout.filter.domains import DomainCounter
from optout.filter.kinds import Job, open_kind
from optout.filter.marker import write_marker
from optout.filter.results import Described, ShardResult
from optout.filter.settings import Settings, at_of, plan_of
from optout.filter.source import Shard, shard_at
from optout.snapshot import Snapshot, open_snapshot

__all__ = ["filter_shard"]


def filter_shard(
    source: Shard | str | Path,
    out: str | Path,
    snapshot: Snapshot | str | Path,
    question: Question,
    settings: Settings | None = None,
    *,
    output: str | None = None,
    prove: bool = True,
    progress: Callable[[int], object] | None = None,
    threads: int = 1,
) -> ShardResult:
    """Filter one shard. `out` appears whole, and after it the marker `.<name>.done.json` beside it.

    Args:
        source: the input file (a Parquet file, a tar, …; its companions are found beside it), or a `Shard`.
        out: the file to write, or for a folder the directory; what was there is replaced.
        snapshot: an open one, or the directory of one.
        question: use, time, grade, names; without a time: now.
        settings: mode and what else; `Settings()` drops.
        output: what to call the output in the receipt; its file name if not given.
        prove: take the digests and count the domains that a receipt needs; without, neither is known.
        progress: called with a number of rows each time that many more are done.
        threads: how many may hash pictures at once.

    Raises:
        BadInput: the file is empty, cut short, not what it should be, or lacks the columns.
        UsageError: the output cannot be written, or has a column that `annotate` adds.
        OptoutError: the disk is full.
    """
    started = time.perf_counter()
    out, settings = Path(out), settings or Settings()
    shard = source if isinstance(source, Shard) else shard_at(Path(source))
    opened = snapshot if isinstance(snapshot, Snapshot) else open_snapshot(snapshot)
    question = replace(question, at=at_of(question))
    before = {name: _stat(path, name) for name, path in shard.inputs.items()}
    domains = DomainCounter() if prove else None
    if output is None and shard.path.is_dir():
        output = open_kind(shard.kind).output(".", settings)
        out = out / output
    output = output or "/".join(out.parts[-len(Path(shard.name).parts) :])
    job = Job(shard, out, output, opened, question, settings, domains, progress, threads)
    written = open_kind(shard.kind).write(job)
    result = ShardResult(
        name=shard.name,
        output=output,
        inputs=_inputs(shard, before, prove=prove),
        outputs={name: _described(job.place(name), digest) for name, digest in written.outputs.items()},
        counts=written.counts,
        plan=plan_of(opened.digest, question, settings),
        seconds=round(time.perf_counter() - started, 3),
        proven=prove,
        named=written.named,
    )
    write_marker(out, result, domains.table() if domains is not None else None)
    return result


def _inputs(shard: Shard, before: dict[str, tuple[int, int]], *, prove: bool) -> dict[str, Described]:
    """The shard's files as they were read.

    Raises:
        BadInput: one was changed meanwhile (`changed_input`).
    """
    read = {name: sha256_of(path) if prove else "" for name, path in shard.inputs.items()}
    for name, path in shard.inputs.items():
        if _stat(path, name) != before[name]:
            raise BadInput(f"{name}: the file changed while it was read", code="changed_input")
    return {name: Described(digest, *before[name]) for name, digest in read.items()}


def _described(path: Path, digest: str) -> Described:
    found = path.stat()
    return Described(digest, found.st_size, found.st_mtime_ns)


def _stat(path: Path, name: str) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise BadInput(f"{name}: cannot be read: {error.strerror}", code="unreadable") from error
    return found.st_size, found.st_mtime_ns
