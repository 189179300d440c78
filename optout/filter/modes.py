"""The modes of a filter run. Apart from everything else, so that `optout --help` needs no Arrow."""

from enum import StrEnum

__all__ = ["Codec", "DataFormat", "MaskFormat", "Mode"]


class Mode(StrEnum):
    """What is written for each shard."""

    DROP = "drop"
    ANNOTATE = "annotate"
    MASK = "mask"


class MaskFormat(StrEnum):
    """How a mask is written.

    `rows` lists the rows to leave out; `datacomp` the sorted uids to keep, as DataComp's resharder takes
    them; `nemo` the ids to remove, as NeMo Curator takes them.
    """

    ROWS = "rows"
    DATACOMP = "datacomp"
    NEMO = "nemo"


class Codec(StrEnum):
    """The codecs that Parquet files are written with."""

    NONE = "none"
    SNAPPY = "snappy"
    GZIP = "gzip"
    BROTLI = "brotli"
    LZ4 = "lz4"
    ZSTD = "zstd"


class DataFormat(StrEnum):
    """The kinds of data sets."""

    PARQUET = "parquet"
    ARROW = "arrow"
    WEBDATASET = "webdataset"
    EMBEDDINGS = "embeddings"
    IMAGES = "images"

    @property
    def suffixes(self) -> tuple[str, ...]:
        """How the names of its shards end."""
        return _SUFFIXES[self]


_SUFFIXES = {
    DataFormat.PARQUET: (".parquet", ".parq", ".pq"),
    DataFormat.ARROW: (".arrow", ".feather"),
    DataFormat.WEBDATASET: (".tar",),
    DataFormat.EMBEDDINGS: (".npy",),
    DataFormat.IMAGES: (),
}
