"""Embedding shards as clip-retrieval writes them and LAION published them.

Row i of `img_emb/img_emb_7.npy` is row i of `metadata/metadata_7.parquet`, and of `text_emb/text_emb_7.npy`
where that is there; the numbers may be padded differently.
"""

import re
from collections import Counter
from functools import partial
from pathlib import Path, PurePosixPath

from optout.embeddings.value import check_vectors
from optout.errors import BadInput, UsageError
from optout.filter.kinds import Job, Kind, Written
from optout.filter.modes import MaskFormat, Mode
from optout.filter.npy import copy_vectors, open_vectors
from optout.filter.outputs import copy_file, outputs_of
from optout.filter.parquet import Source
from optout.filter.settings import Settings
from optout.filter.source import Shard
from optout.filter.table import Filled, fill_table
from optout.filter.table_items import RowVectors

__all__ = ["KIND"]

_SHARD = re.compile(r"img_emb_?(\d+)\.npy")
_METADATA = re.compile(r"metadata_?(\d+)\.parquet")
_TEXT = re.compile(r"text_emb_?(\d+)\.npy")
_FOLDERS = {"img_emb": _SHARD, "metadata": _METADATA, "text_emb": _TEXT}


def _number(path: Path) -> int | None:
    """The number of a file of an embedding shard; None for other files."""
    pattern = _FOLDERS.get(path.parent.name)
    found = pattern.fullmatch(path.name) if pattern else None
    return int(found[1]) if found else None


def _shards(files: list[Path], root: Path) -> list[Path]:
    """The arrays of pictures' embeddings.

    Raises:
        BadInput: metadata or embeddings have no partner, or more than one (`missing_partner`).
    """
    parts = [path for path in files if _number(path) is not None]
    shards = [path for path in parts if path.parent.name == "img_emb"]
    counted = Counter((path.parent.parent, _number(path)) for path in shards)
    for path in parts if shards else ():
        place, number = path.parent.parent, _number(path)
        if path.parent.name in ("img_emb", "metadata") and counted[place, number] != 1:
            raise BadInput(
                f"{path}: there are {counted[place, number]} arrays img_emb_{number}.npy to it, not one",
                code="missing_partner",
            )
    return shards


def _companions(path: Path, _: Path) -> list[Path]:
    number, place = _number(path), path.parent.parent
    beside = [each for folder in ("metadata", "text_emb") for each in sorted(place.glob(f"{folder}/*"))]
    return [each for each in beside if number is not None and _number(each) == number]


def _output_name(name: str, settings: Settings) -> str:
    if settings.mode is not Mode.MASK:
        return name
    if settings.mask_format is not MaskFormat.ROWS:
        raise UsageError(
            f"a mask of embeddings lists their rows: --mask-format {settings.mask_format} is for Parquet",
            code="mask_format",
        )
    return PurePosixPath(name).with_suffix(".parquet").as_posix()


def _write(job: Job) -> Written:
    name, metadata = _metadata(job)
    with Source(metadata, name) as source, outputs_of(job) as outputs:
        arrays = {each: path for each, path in job.shard.inputs.items() if path.suffix == ".npy"}
        held = {each: open_vectors(path, each, source.rows) for each, path in arrays.items()}
        vectors = held[job.name]
        usable = check_vectors(vectors, job.name)
        asked = RowVectors(_model(job, vectors.shape[1]), vectors, usable)
        table = job.output if job.settings.mode is Mode.MASK else name
        filled: Filled = outputs.write(table, lambda part: fill_table(job, source, part, asked))
        for each, path in arrays.items():
            if job.settings.mode is Mode.DROP:
                outputs.write(each, partial(copy_vectors, held[each], filled.keep))
            elif job.settings.mode is Mode.ANNOTATE:
                outputs.write(each, partial(copy_file, path))
        return Written(filled.counts, outputs.appear(), filled.named)


def _metadata(job: Job) -> tuple[str, Path]:
    """Name and path of the shard's metadata."""
    found = [pair for pair in job.shard.inputs.items() if pair[1].suffix == ".parquet"]
    if len(found) != 1:
        wanted = f"metadata_{_number(job.shard.path)}.parquet"
        raise BadInput(f"{job.name}: there are {len(found)} {wanted} to it, not one", code="missing_partner")
    return found[0]


def _model(job: Job, dimension: int) -> str | None:
    """The model whose embeddings these are; None where nobody claims by any.

    Raises:
        UsageError: there are such claims, and it was not told (`no_model`) or they are by others
            (`other_model`).
    """
    claimed = sorted(str(record["id"]) for record in job.snapshot.manifest.models)
    told = job.settings.clip_model
    if not claimed:
        return None
    if told is None:
        raise UsageError(
            f"{job.name}: tell by --clip-model what made these embeddings; the snapshot's claims are by "
            f"{', '.join(claimed)}",
            code="no_model",
        )
    if not job.snapshot.has_model(told, dimension):
        raise UsageError(
            f"{job.name}: {dimension} numbers by {told} cannot be compared with the snapshot's claims, which "
            f"are by {', '.join(claimed)}",
            code="other_model",
        )
    return told


def _rows(shard: Shard) -> int | None:
    try:
        return len(open_vectors(shard.path, shard.name))
    except BadInput:
        return None


KIND = Kind(shards=_shards, companions=_companions, output=_output_name, write=_write, rows=_rows, depth=2)
