"""Running shards, in this process or in several."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import Queue
from pathlib import Path
from queue import Empty
from typing import NamedTuple

import pyarrow as pa

from optout.engine import Question
from optout.errors import BadInput, OptoutError
from optout.filter.results import ShardResult
from optout.filter.settings import Settings
from optout.filter.shard import filter_shard
from optout.filter.source import Shard
from optout.processes import follow_parent, quiet_pillow
from optout.snapshot import Snapshot, open_snapshot

__all__ = ["Failure", "Task", "run_tasks"]

_POLL_SECONDS = 0.2


class Task(NamedTuple):
    """A shard to do, the file to write, and whether a receipt is to speak of it."""

    shard: Shard
    output: str
    out: Path
    prove: bool


class Failure(NamedTuple):
    """A shard that could not be done because of what is in it."""

    shard: str
    code: str
    detail: str


class _Work(NamedTuple):
    snapshot: Snapshot | Path
    question: Question
    settings: Settings
    threads: int


def run_tasks(
    tasks: Sequence[Task],
    snapshot: Snapshot | Path,
    question: Question,
    settings: Settings,
    *,
    processes: int,
    progress: Callable[[int], object] | None = None,
) -> Iterator[ShardResult | Failure]:
    """Do all tasks, in any order. A shard with bad input fails alone.

    Processes are spawned and each maps the snapshot's files, so nothing large is ever sent.

    Raises:
        OptoutError: what concerns all shards: a full disk, an output that cannot be written, a killed worker.
    """
    threads = max(1, len(os.sched_getaffinity(0)) // max(1, min(processes, len(tasks))))
    work = _Work(snapshot, question, settings, threads)
    if processes <= 1 or len(tasks) <= 1 or isinstance(snapshot, Snapshot):
        opened = snapshot if isinstance(snapshot, Snapshot) else open_snapshot(snapshot)
        for task in tasks:
            yield _do(work._replace(snapshot=opened), task, progress)
    else:
        yield from _in_processes(tasks, work, min(processes, len(tasks)), progress)


def _do(work: _Work, task: Task, progress: Callable[[int], object] | None) -> ShardResult | Failure:
    shard = task.shard
    try:
        return filter_shard(
            shard,
            task.out,
            work.snapshot,
            work.question,
            work.settings,
            output=task.output,
            prove=task.prove,
            progress=progress,
            threads=work.threads,
        )
    except BadInput as error:
        return Failure(shard.name, error.code, str(error))


def _in_processes(
    tasks: Sequence[Task], work: _Work, processes: int, progress: Callable[[int], object] | None
) -> Iterator[ShardResult | Failure]:
    context = multiprocessing.get_context("spawn")
    rows: Queue[int] = context.Queue()
    with ProcessPoolExecutor(processes, context, _start_worker, (work, rows)) as executor:
        # Large shards first, so that no worker begins the largest one when the others are done.
        ordered = sorted(tasks, key=lambda task: -task.shard.bytes)
        waiting = {executor.submit(_do_in_worker, task) for task in ordered}
        try:
            while waiting:
                done, waiting = wait(waiting, timeout=_POLL_SECONDS, return_when=FIRST_COMPLETED)
                _report(rows, progress)
                yield from map(_result_of, done)
            _report(rows, progress)
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def _result_of(future: "Future[ShardResult | Failure]") -> ShardResult | Failure:
    try:
        return future.result()
    except BrokenProcessPool:
        raise OptoutError(
            "a worker process was killed (out of memory?); run the same command again to go on, "
            "with fewer --processes",
            code="worker_killed",
        ) from None


def _report(rows: "Queue[int]", progress: Callable[[int], object] | None) -> None:
    try:
        while True:
            count = rows.get_nowait()
            if progress is not None:
                progress(count)
    except Empty:
        return


class _Worker(NamedTuple):
    work: _Work
    rows: "Queue[int]"


_workers: list[_Worker] = []


def _start_worker(work: _Work, rows: "Queue[int]") -> None:
    follow_parent()
    quiet_pillow()
    pa.set_cpu_count(1)
    _workers.append(_Worker(work._replace(snapshot=open_snapshot(Path(str(work.snapshot)))), rows))


def _do_in_worker(task: Task) -> ShardResult | Failure:
    worker = _workers[0]
    return _do(worker.work, task, worker.rows.put)
