"""Load selectors by COPY and stream them out in the order of the primary key.

    python -m benchmarks.selectors [ROWS] [--checks]

Runs in its own schema of the database that DATABASE_URL names, else in an embedded one, and leaves nothing
behind. `--checks` also times the ways of making sure that a selector's claim exists.
"""

import argparse
import hashlib
import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from benchmarks import common
from config.embedded.postgres import Postgres

BATCH = 100_000
SELECTORS_PER_CLAIM = 4
URL = "https://images-{host}.example.org/works/{number:09d}/picture-{salt:08x}.jpg"


def batches(rows: int) -> Iterator[pa.Table]:
    """Selectors in the order of the table: claim_id, kind, digest (hex), value of about 70 bytes."""
    for first in range(0, rows, BATCH):
        numbers = range(first, min(first + BATCH, rows))
        values = [URL.format(host=n % 9973, number=n, salt=n * 2654435761 % 2**32)[8:] for n in numbers]
        digests = [hashlib.sha256(value.encode()).hexdigest()[:32] for value in values]
        claims = np.asarray(numbers) // SELECTORS_PER_CLAIM + 1
        table = pa.table(
            {
                "claim_id": claims,
                "kind": np.full(len(values), 10, np.uint8),
                "digest": digests,
                "value": values,
            }
        )
        yield table.sort_by([("claim_id", "ascending"), ("digest", "ascending")])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="?", type=int, default=5_000_000)
    parser.add_argument("--checks", action="store_true", help="also time three ways of checking the claims")
    arguments = parser.parse_args()
    with database():
        measure(arguments.rows, checks=arguments.checks)


@contextmanager
def database() -> Iterator[None]:
    """The database that is configured, else an embedded one for as long as this lasts."""
    if "DATABASE_URL" in os.environ:
        yield
        return
    home = (common.HOME / "selectors").resolve()
    home.mkdir(parents=True, exist_ok=True)
    postgres = Postgres(home)
    with (home / "postgres.log").open("ab") as log:
        postgres.start(log)
    os.environ |= {"DATABASE_URL": postgres.url, "OPTOUT_DATA": str(home)}
    try:
        yield
    finally:
        postgres.stop()


def measure(rows: int, *, checks: bool) -> None:
    """Load and stream tables of `rows` selectors."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "SET statement_timeout = 0; DROP SCHEMA IF EXISTS benchmark CASCADE; CREATE SCHEMA benchmark"
        )
        try:
            run(cursor, rows, "statement")
            for check in ("foreign key", "none") if checks else ():
                run(cursor, rows, check)
        finally:
            cursor.execute("DROP SCHEMA benchmark CASCADE")


def run(cursor: Any, rows: int, check: str) -> None:
    """Load, measure and stream one table, made like registry_selector."""
    make_tables(cursor, rows, check)
    blocks = []
    for table in batches(rows):
        buffer = io.BytesIO()
        pa.csv.write_csv(table, buffer, pa.csv.WriteOptions(include_header=False, quoting_style="all_valid"))
        blocks.append(buffer.getvalue())
    started = time.perf_counter()
    for block in blocks:
        with cursor.copy("COPY benchmark.selector FROM STDIN (FORMAT csv)") as copy:
            copy.write(block)
    report(f"COPY in, check of claims: {check}", rows, time.perf_counter() - started)
    del blocks
    cursor.execute("VACUUM (ANALYZE) benchmark.selector")
    cursor.execute(
        "SELECT pg_relation_size('benchmark.selector'), pg_indexes_size('benchmark.selector'),"
        " (SELECT sum(octet_length(value)) FROM benchmark.selector)"
    )
    heap, index, values = (int(size) / rows for size in cursor.fetchone())
    print(f"  bytes/row: heap {heap:.0f} (values {values:.0f}), index {index:.0f}")
    if check == "statement":
        stream(cursor, rows)


def make_tables(cursor: Any, rows: int, check: str) -> None:
    cursor.execute(
        """
        DROP TABLE IF EXISTS benchmark.selector, benchmark.claim CASCADE;
        CREATE TABLE benchmark.claim (id bigint PRIMARY KEY);
        CREATE TABLE benchmark.selector (LIKE public.registry_selector INCLUDING ALL)
        """
    )
    cursor.execute(
        "INSERT INTO benchmark.claim SELECT generate_series(1, %s)", [rows // SELECTORS_PER_CLAIM + 1]
    )
    cursor.execute("ANALYZE benchmark.claim")
    if check == "foreign key":
        cursor.execute("ALTER TABLE benchmark.selector ADD FOREIGN KEY (claim_id) REFERENCES benchmark.claim")
    if check == "statement":
        # The product's own function, made to look at the table here.
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = 'registry_claims_exist'")
        (body,) = cursor.fetchone()
        cursor.execute(
            "CREATE FUNCTION benchmark.claims_exist() RETURNS trigger LANGUAGE plpgsql AS $body$"
            + body.replace("registry_claim ", "benchmark.claim ").replace("registry_claim.", "claim.")
            + "$body$"
        )
        cursor.execute(
            "CREATE TRIGGER claims_exist AFTER INSERT ON benchmark.selector REFERENCING NEW TABLE AS added"
            " FOR EACH STATEMENT EXECUTE FUNCTION benchmark.claims_exist()"
        )


def stream(cursor: Any, rows: int) -> None:
    """Everything out by COPY, in the order of the primary key, checked to be in it."""
    cursor.execute("EXPLAIN SELECT * FROM benchmark.selector ORDER BY claim_id, kind, digest")
    plan = cursor.fetchone()[0].split("  (")[0]
    started = time.perf_counter()
    seen, last = 0, b""
    statement = (
        "COPY (SELECT lpad(claim_id::text, 12, '0'), kind, digest, value FROM benchmark.selector"
        " ORDER BY claim_id, kind, digest) TO STDOUT"
    )
    with cursor.copy(statement) as copy:
        for line in copy:
            key = bytes(line[:52])
            assert key > last
            seen, last = seen + 1, key
    report(f"COPY out in order ({plan})", rows, time.perf_counter() - started)
    assert seen == rows


def report(what: str, rows: int, seconds: float) -> None:
    print(f"{what}: {rows:,} rows in {seconds:.2f} s, {rows / seconds:,.0f} rows/s")


if __name__ == "__main__":
    main()
