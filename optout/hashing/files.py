"""Pictures in folders, and the hashes of many files in several processes."""

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

from optout.errors import BadInput, OptoutError
from optout.hashing.fingerprint import Picture
from optout.processes import follow_parent, quiet_pillow

__all__ = ["SUFFIXES", "Found", "Hashed", "find_pictures", "hash_files"]

#: How names of pictures end; in folders nothing else is looked at. Of HEIC it is said that it is not read.
SUFFIXES = frozenset(
    f".{name}" for name in "avif bmp gif heic heif jfif jpe jpeg jpg jp2 mpo png tif tiff webp".split()
)
#: Pictures that a worker is given at a time, and the pictures for which it is worth starting one.
_CHUNK = 16
_AHEAD = 4


class Found(NamedTuple):
    """Files to hash, and how many in the folders were passed by."""

    pictures: list[Path]
    passed_by: int


class Hashed(NamedTuple):
    """What became of one file: its hashes, or why it has none."""

    path: Path
    outcome: Picture | BadInput


def find_pictures(paths: Iterable[Path]) -> Found:
    """The files given, whatever their names, and all pictures in and below the folders given, sorted.

    What begins with a dot is passed by without being counted, as are folders behind links.

    Raises:
        BadInput: a folder cannot be read (`unreadable_folder`).
    """
    pictures: list[Path] = []
    passed_by = 0
    for path in paths:
        files = list(_files_below(path)) if path.is_dir() else [path]
        chosen = [file for file in files if file is path or file.suffix.lower() in SUFFIXES]
        passed_by += len(files) - len(chosen)
        pictures += chosen
    return Found(pictures, passed_by)


def _files_below(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        sentence = f"the folder {error.filename} cannot be read: {error.strerror}"
        raise BadInput(sentence, code="unreadable_folder") from error

    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files = (Path(parent, name) for name in sorted(names) if not name.startswith("."))
        # A pipe would be waited for, a broken link is no file.
        yield from (file for file in files if file.is_file())


def hash_files(paths: Sequence[Path], *, processes: int | None = None) -> Iterator[Hashed]:
    """Hash files in order, those before one that fails and those after it alike.

    Args:
        paths: the files.
        processes: how many at once; one a core when left out, and never more than there is work for.

    Raises:
        OptoutError: a worker was killed (`worker_killed`).
    """
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    processes = min(processes or len(os.sched_getaffinity(0)), len(chunks))
    if processes <= 1:
        yield from map(_hash_file, paths)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _start_worker) as executor:
        try:
            yield from _in_order(executor, chunks, processes * _AHEAD)
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def _in_order(
    executor: ProcessPoolExecutor, chunks: Sequence[Sequence[Path]], ahead: int
) -> Iterator[Hashed]:
    waiting: deque[tuple[Sequence[Path], Future[list[Hashed]]]] = deque()
    for chunk in chunks:
        waiting.append((chunk, executor.submit(_hash_chunk, chunk)))
        if len(waiting) > ahead:
            yield from _result_of(*waiting.popleft())
    while waiting:
        yield from _result_of(*waiting.popleft())


def _result_of(chunk: Sequence[Path], future: "Future[list[Hashed]]") -> list[Hashed]:
    try:
        return future.result()
    except BrokenProcessPool:
        raise OptoutError(
            f"a worker process was killed (out of memory?) when {chunk[0]} and what follows it was being "
            "hashed; try again with fewer --processes",
            code="worker_killed",
        ) from None


def _start_worker() -> None:
    follow_parent()
    quiet_pillow()


def _hash_chunk(paths: Sequence[Path]) -> list[Hashed]:
    return [_hash_file(path) for path in paths]


def _hash_file(path: Path) -> Hashed:
    from optout.hashes import hash_picture

    # Names that are no UTF-8 can be opened, but not printed.
    name = str(path).encode(errors="replace").decode()
    try:
        return Hashed(path, hash_picture(path, name=name))
    except BadInput as error:
        return Hashed(path, error)
