"""Claim exchange files on their way into a snapshot; what becomes of their bad rows."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import pyarrow as pa

from optout.errors import BadInput, UsageError
from optout.exchange import Rejected, read_claims
from optout.words import Grade

__all__ = ["ClaimFiles"]

_SHOWN = 10


class ClaimFiles:
    """Iterates over the claims of several files; a context manager around the list of bad rows.

    The list appears under its name only when the block ends well and there was something to list.

    Raises:
        BadInput: rows are bad (`bad_rows`; the first ones are in the message), unless they are skipped.
    """

    def __init__(
        self, sources: Sequence[Path], out: Path, *, skip_bad_rows: bool, grade: Grade, default_owner: str
    ) -> None:
        self._sources, self._skip = sources, skip_bad_rows
        self._grade, self._owner = grade, default_owner
        # Beside the snapshot, not in it: a snapshot holds nothing but what its manifest names.
        self.rejected_file = out.absolute().with_name(f"{out.absolute().name}.rejected.jsonl")
        self._part = self.rejected_file.with_name(f".{self.rejected_file.name}.part")
        self._file: IO[str] | None = None
        self.rejected = 0

    def __enter__(self) -> "ClaimFiles":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        self._file.close()
        if kind is None:
            self._part.replace(self.rejected_file)
        else:
            self._part.unlink(missing_ok=True)

    def __iter__(self) -> Iterator[pa.Table]:
        for source in self._sources:
            for batch in read_claims(source, grade=self._grade, default_owner=self._owner):
                if batch.rejected:
                    self._reject(source, batch.rejected)
                yield batch.claims

    def _reject(self, source: Path, rejected: list[Rejected]) -> None:
        if not self._skip:
            shown = [f"\n  row {row.row}: {row.detail} ({row.excerpt!r})" for row in rejected[:_SHOWN]]
            more = f"\n  and {len(rejected) - _SHOWN} more near there" if len(rejected) > _SHOWN else ""
            raise BadInput(
                f"{source} has bad rows; nothing was built. Correct them, or leave them out with "
                f"--skip-bad-rows.{''.join(shown)}{more}",
                code="bad_rows",
            )
        self.rejected += len(rejected)
        if self._file is None:
            self._file = self._open()
        for row in rejected:
            self._file.write(json.dumps({"file": str(source), **row._asdict()}, ensure_ascii=False) + "\n")

    def _open(self) -> IO[str]:
        try:
            self._part.parent.mkdir(parents=True, exist_ok=True)
            return self._part.open("w", encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"cannot write {self.rejected_file}: {error.strerror}", code="unwritable"
            ) from error
