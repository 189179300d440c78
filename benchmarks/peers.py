"""Peers of the filter: the same question asked of DuckDB, polars, plain Python and pyarrow's copy.

They get the easier question: no size tokens, proxies or percent-escapes, and exact hosts. Each has two forms:
`canonical` does what string expressions reach of the canonical form (one reference, fragment, tracking
parameters, scheme, `www.`, case of the host); `loose` leaves fragment and tracking parameters alone.
"""

import html
import re
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

_TRACKING = r"([?&])(utm_[a-z]+|fbclid|gclid|mc_eid)=[^&]*"
_TRACKING_NAME = re.compile(r"(?:utm_[a-z]+|fbclid|gclid|mc_eid)=")
_BARE = {
    "loose": r"regexp_replace(replace(url, '&amp;', '&'), '^https?://(www\.)?', '')",
    "canonical": (
        # Fragments by a split, and the slow expression only where there is a query: what one tunes first.
        r"regexp_replace(CASE WHEN contains(url, '?') THEN regexp_replace("
        rf"split_part(replace(url, '&amp;', '&'), '#', 1), '{_TRACKING}', '\\1', 'g') "
        r"ELSE split_part(url, '#', 1) END, '^https?://(www\.)?', '')"
    ),
}
_MACROS = """
CREATE MACRO bare(url) AS {bare};
CREATE MACRO host(url) AS lower(split_part(bare(url), '/', 1));
CREATE MACRO canonical(url) AS host(url) || substr(bare(url), strpos(bare(url), '/'));
"""
_KEPT = """
SELECT {columns} FROM read_parquet('{rows}') AS r
WHERE NOT EXISTS (SELECT 1 FROM claimed AS c WHERE c.canonical = canonical(r.URL))
  AND NOT EXISTS (SELECT 1 FROM domains AS d WHERE d.host = host(r.URL))
"""


def copy(rows: Path, out: Path) -> None:
    """Read and write every row group, same codec, nothing decided."""
    source = pq.ParquetFile(rows)
    codec = source.metadata.row_group(0).column(0).compression
    with pq.ParquetWriter(out, source.schema_arrow, compression=codec) as writer:
        for group in range(source.num_row_groups):
            writer.write_table(source.read_row_group(group, use_threads=False))


class DuckDB:
    """Anti-joins in DuckDB, one thread, claims already in its memory."""

    def __init__(self, claims: Path, form: str) -> None:
        self.connection = duckdb.connect(config={"threads": 1})
        self.connection.execute(_MACROS.format(bare=_BARE[form]))
        for table, column, kind in (("claimed", "canonical", "url"), ("domains", "host", "domain")):
            value = "canonical(value)" if kind == "url" else "value"
            self.connection.execute(
                f"CREATE TABLE {table} AS SELECT {value} AS {column} "
                f"FROM read_parquet('{claims}') WHERE selector = '{kind}'"
            )

    def decide(self, rows: Path) -> int:
        query = _KEPT.format(columns="count(*)", rows=rows)
        found = self.connection.execute(query).fetchone()
        return int(found[0]) if found else 0

    def rewrite(self, rows: Path, out: Path) -> None:
        query = _KEPT.format(columns="r.*", rows=rows)
        self.connection.execute(f"COPY ({query}) TO '{out}' (FORMAT parquet, COMPRESSION snappy)")


class Polars:
    """Anti-joins on hashed canonical forms in polars, one thread, claims already in memory."""

    def __init__(self, claims: Path, form: str) -> None:
        self.form = form
        table = pl.scan_parquet(claims).select("selector", "value").collect()
        urls = table.filter(pl.col("selector").cast(pl.String) == "url").select(pl.col("value").alias("URL"))
        self.claimed = urls.select(self._canonical())
        hosts = table.filter(pl.col("selector").cast(pl.String) == "domain")
        self.domains = hosts.select(pl.col("value").hash().alias("host"))

    def _parts(self) -> pl.Expr:
        url = pl.col("URL").str.replace_all("&amp;", "&", literal=True)
        if self.form == "canonical":
            url = url.str.replace(r"#.*$", "").str.replace_all(_TRACKING, "$1")
        return url.str.replace(r"^https?://(www\.)?", "").str.splitn("/", 2)

    def _canonical(self) -> pl.Expr:
        parts = self._parts()
        host, path = parts.struct.field("field_0").str.to_lowercase(), parts.struct.field("field_1")
        return pl.concat_str([host, path], separator="/").hash().alias("canonical")

    def _kept(self, rows: Path) -> pl.LazyFrame:
        host = self._parts().struct.field("field_0").str.to_lowercase().hash().alias("host")
        frame = pl.scan_parquet(rows).with_columns(self._canonical(), host)
        kept = frame.join(self.claimed.lazy(), on="canonical", how="anti")
        return kept.join(self.domains.lazy(), on="host", how="anti")

    def decide(self, rows: Path) -> int:
        return int(self._kept(rows).select(pl.len()).collect().item())

    def rewrite(self, rows: Path, out: Path) -> None:
        self._kept(rows).drop("canonical", "host").collect().write_parquet(out, compression="snappy")


class PlainPython:
    """A set, urlsplit and every host suffix, as one would write it in an afternoon."""

    BATCH = 50_000

    def __init__(self, claims: Path) -> None:
        table = pq.read_table(claims, columns=["selector", "value"])
        kinds = table["selector"].cast(pa.string()).to_pylist()
        values = table["value"].to_pylist()
        self.urls = {
            self._canonical(value) for kind, value in zip(kinds, values, strict=True) if kind == "url"
        }
        self.domains = {value for kind, value in zip(kinds, values, strict=True) if kind == "domain"}

    @staticmethod
    def _canonical(url: str) -> str:
        parts = urlsplit(html.unescape(url))
        host = (parts.hostname or "").removeprefix("www.")
        kept = [piece for piece in parts.query.split("&") if not _TRACKING_NAME.match(piece)]
        return f"{host}{parts.path}?{'&'.join(kept)}"

    def decide(self, rows: Path, count: int) -> int:
        """How many of the first `count` rows are kept, in whole batches; reads the file, as the others do."""
        kept = seen = 0
        for batch in pq.ParquetFile(rows).iter_batches(self.BATCH, columns=["URL"], use_threads=False):
            kept += sum(map(self._is_kept, batch.column(0).to_pylist()))
            seen += batch.num_rows
            if seen >= count:
                break
        return kept

    def _is_kept(self, url: str) -> bool:
        canonical = self._canonical(url)
        labels = canonical.split("/", 1)[0].split(".")
        suffixes = (".".join(labels[at:]) for at in range(len(labels) - 1))
        return canonical not in self.urls and not any(suffix in self.domains for suffix in suffixes)
