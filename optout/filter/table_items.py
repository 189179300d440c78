"""Rows of a table as items: their columns of text, and the pictures they hold."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from optout.engine import ItemError, Items, Verdicts
from optout.errors import BadInput, OptoutError
from optout.filter.columns import Found
from optout.filter.contents import Content, Seen, look_at_all, wanted_by
from optout.filter.kinds import Job
from optout.filter.results import MOST_NAMED
from optout.probes import Embeddings, PictureProbes
from optout.words import Outcome

__all__ = ["Asked", "RowVectors", "judge_rows", "looks_at_pictures"]

_TEXTS = ("url", "sha256", "md5", "phash", "pdq")


class RowVectors(NamedTuple):
    """Embeddings of all rows of a table.

    Attributes:
        model: the id of the model that made them; None if they are not to be looked at.
        vectors: float[n, D].
        usable: bool[n], whether a row is a vector of unit length.
    """

    model: str | None
    vectors: npt.NDArray[np.floating[Any]]
    usable: npt.NDArray[np.bool_]

    def columns(self, first: int, rows: int) -> dict[str, Any]:
        """Those of some rows, as columns of items; a row without an embedding cannot be judged."""
        part = slice(first, first + rows)
        errors = np.where(self.usable[part], ItemError.OK, ItemError.EMBEDDING).astype(np.uint8)
        if self.model is None:
            return {"errors": errors}
        vectors = np.asarray(self.vectors[part], np.float16)
        return {"errors": errors, "embeddings": (Embeddings(self.model, vectors, self.usable[part]),)}


class Asked(NamedTuple):
    """The answers about the rows of a batch, and sentences about the first ones that cannot be judged."""

    verdicts: Verdicts
    named: list[str]


def judge_rows(
    job: Job,
    batch: pa.RecordBatch,
    found: Found,
    first: int,
    *,
    names: bool,
    vectors: RowVectors | None = None,
) -> Asked:
    """Ask about every row.

    Args:
        job: what is asked of which snapshot.
        batch: n rows with the columns of `found`.
        found: which columns hold what.
        first: number of the first row in the shard.
        names: whether captions are looked at.
        vectors: the embeddings of the shard's rows; their pictures are not here then.

    Raises:
        BadInput: a column is not what it should be, or nothing that decodes pictures is installed.
    """
    columns = {role: batch.column(name) for role in _TEXTS if (name := getattr(found, role)) is not None}
    if names and found.text is not None:
        columns["text"] = batch.column(found.text)
    seen = list(_look(job, batch, found, first))
    pictures = _pictures(seen) if vectors is None else vectors.columns(first, batch.num_rows)
    try:
        verdicts = job.snapshot.judge(Items(batch.num_rows, **columns, **pictures), job.question)
    except OptoutError as error:
        raise BadInput(f"{job.name}: {error}", code=error.code) from error
    return Asked(verdicts, list(islice(_sentences(job, verdicts, seen, first), MOST_NAMED)))


def _sentences(job: Job, verdicts: Verdicts, seen: list[Seen | None], first: int) -> Iterator[str]:
    """Of each row that cannot be judged, which it is and why."""
    for row in np.flatnonzero(verdicts.outcome == Outcome.ERROR).tolist():
        one = seen[row] if seen else None
        broken = one.broken if one else ""
        label = ItemError(int(verdicts.error[row])).label
        yield f"{job.name}: {broken or f'row {first + row} cannot be judged: {label}'}"


def looks_at_pictures(job: Job, found: Found) -> bool:
    """Whether the rows' pictures are read: they can be compared with something, or rows known by them."""
    if found.image is None:
        return False
    return any(wanted_by(job.snapshot)) or all(getattr(found, role) is None for role in _TEXTS)


def _look(job: Job, batch: pa.RecordBatch, found: Found, first: int) -> Iterator[Seen | None]:
    """What is seen of each row's picture; None where the row has none, nothing where none are looked at."""
    if not looks_at_pictures(job, found):
        return
    wanted = wanted_by(job.snapshot)
    if not any(wanted):
        wanted = wanted._replace(sha256=True)
    octets, lies_elsewhere = _octets(batch.column(found.image))
    contents = [
        (Content(f"the picture of row {first + row}", len(body), partial(_part, body), picture=True), wanted)
        for row, body in enumerate(octets)
        if body is not None
    ]
    seen = look_at_all(contents, job.threads)
    for row, body in enumerate(octets):
        if body is not None:
            yield next(seen)
        elif lies_elsewhere[row]:
            yield Seen(
                None, None, None, f"the picture of row {first + row} lies elsewhere: only its path is here"
            )
        else:
            yield None


def _octets(column: pa.Array) -> tuple[list[memoryview | None], list[bool]]:
    """The bytes of each picture, or None; and whether a row has the path of one instead."""
    paths = [False] * len(column)
    if pa.types.is_struct(column.type):
        bodies = pc.struct_field(column, "bytes")
        if column.type.get_field_index("path") >= 0:
            there = pc.struct_field(column, "path")
            paths = pc.and_(pc.is_null(bodies), pc.is_valid(there)).to_pylist()
        column = bodies
    return [memoryview(body.as_buffer()) if body.is_valid else None for body in column], paths


def _part(body: memoryview, start: int, end: int) -> bytes:
    return bytes(body[start:end])


def _pictures(seen: list[Seen | None]) -> dict[str, Any]:
    """What was seen, as the columns of items."""
    if not seen:
        return {}
    probes = [
        one.probes.of_row(row) for row, one in enumerate(seen) if one is not None and one.probes is not None
    ]
    broken = [ItemError.PICTURE if one is not None and one.broken else ItemError.OK for one in seen]
    return {
        "own_sha256": pa.array([one.sha256 if one else None for one in seen], pa.string()),
        "own_md5": pa.array([one.md5 if one else None for one in seen], pa.string()),
        "pictures": PictureProbes.joined(probes),
        "errors": np.array(broken, np.uint8),
    }
