"""Arrow tables into PostgreSQL by COPY."""

import io

import pyarrow as pa
import pyarrow.csv
from django.db import connection

__all__ = ["copy_table"]

# Every text is quoted, so that an empty one differs from none and `\.` ends nothing.
_OPTIONS = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")


def copy_table(table: pa.Table, name: str) -> None:
    """Append `table` to the database table `name`, whose columns are called the same (trusted names only)."""
    buffer = io.BytesIO()
    pyarrow.csv.write_csv(table, buffer, _OPTIONS)
    columns = ", ".join(table.column_names)
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {name} ({columns}) FROM STDIN (FORMAT csv)") as copy,
    ):
        copy.write(buffer.getbuffer())
