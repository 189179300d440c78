"""What the commands share: options, reading of their values, output."""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optout.errors import UsageError
from optout.words import Grade, Use

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from optout.engine import Question
    from optout.keys import PublicKey

__all__ = [
    "AtOption",
    "EvidenceTier",
    "GradeOption",
    "JsonOption",
    "NamesOption",
    "NamesRule",
    "SnapshotOption",
    "TrustOption",
    "UseName",
    "UseOption",
    "complain",
    "make_question",
    "print_json",
    "print_table",
    "printable",
    "progress_bar",
    "public_keys",
]


class UseName(StrEnum):
    """The uses, as the command line spells them."""

    TDM = Use.TDM.label
    AI_TRAIN = Use.AI_TRAIN.label
    AI_TRAIN_GENERATIVE = Use.AI_TRAIN_GENERATIVE.label
    AI_INPUT = Use.AI_INPUT.label
    SEARCH = Use.SEARCH.label


class NamesRule(StrEnum):
    """What a claimed name in a caption does."""

    FLAG = "flag"
    REMOVE = "remove"
    IGNORE = "ignore"


class EvidenceTier(StrEnum):
    """How near a picture has to come to a claimed one."""

    MATCH = "match"
    PROBABLE = "probable"
    REVIEW = "review"


JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")
]
SnapshotOption = Annotated[
    Path, typer.Option("--snapshot", "-s", help="The snapshot's directory.", show_default=False)
]
UseOption = Annotated[
    UseName,
    typer.Option(
        "--use",
        help="The use that is asked about.",
    ),
]
AtOption = Annotated[
    str | None,
    typer.Option(
        "--at", metavar="TIME", help="Ask about this moment (2026-01-31, or with a time); now if left out."
    ),
]
GradeOption = Annotated[
    int,
    typer.Option(
        "--min-grade", min=min(Grade), max=max(Grade), help="Least evidence grade a claim needs to count."
    ),
]
NamesOption = Annotated[
    NamesRule,
    typer.Option(
        "--names",
        help="What a claimed name in a caption does: flag the row, remove it, or nothing.",
    ),
]
TrustOption = Annotated[
    list[Path] | None,
    typer.Option("--trust", "-t", help="A public key (PEM) to trust; may be repeated.", show_default=False),
]


def make_question(use: UseName, at: str | None, min_grade: int, names: NamesRule) -> "Question":
    """The question that the options ask.

    Raises:
        UsageError: the time is none (`bad_time`).
    """
    from optout.engine import Question

    return Question(Use.parse(use), _parse_time(at), Grade(min_grade), names.value)


def _parse_time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--at {text!r} is no time; write 2026-01-31 or 2026-01-31T12:00:00Z", code="bad_time"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def public_keys(paths: Sequence[Path] | None) -> "list[PublicKey]":
    """The keys given by `--trust`."""
    from optout.keys import load_public

    return [load_public(path) for path in paths or ()]


def print_json(content: Any) -> None:
    """One JSON document on stdout, in ASCII, so that no terminal and no broken text can spoil it."""
    typer.echo(json.dumps(content, indent=2))


def printable(text: str, keep: str = "") -> str:
    """Text from outside, such as the name of a file, must not steer the terminal; `keep` are let through."""
    return "".join(
        char if char.isprintable() or char in keep else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def complain(sentence: str) -> None:
    """One line on standard error; a list of faults has a line for each."""
    typer.echo(f"optout: {printable(sentence, chr(10))}", err=True)


def print_table(table: "Table") -> None:
    """A table on stdout, as wide as the terminal, or wide enough when there is none."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    console.print(table)


@contextmanager
def progress_bar(total: Callable[[], int | None], what: str) -> "Iterator[Callable[[int], object] | None]":
    """A bar on stderr while the block runs; None, and no bar, where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # What is printed meanwhile belongs to standard output, whatever terminal shows the bar.
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        task = progress.add_task(what, total=total())
        yield lambda count: progress.advance(task, count)
