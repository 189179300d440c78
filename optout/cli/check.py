"""`optout check`."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optout.cli.common import (
    AtOption,
    GradeOption,
    JsonOption,
    NamesOption,
    NamesRule,
    SnapshotOption,
    TrustOption,
    UseName,
    UseOption,
    make_question,
    print_json,
    print_table,
    public_keys,
)
from optout.errors import UsageError
from optout.words import Outcome

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["check"]


class OutcomeName(StrEnum):
    """The outcomes, as the command line spells them."""

    UNRESERVED = Outcome.UNRESERVED.label
    ALLOWED = Outcome.ALLOWED.label
    TERMS = Outcome.TERMS.label
    DENIED = Outcome.DENIED.label
    ERROR = Outcome.ERROR.label


_STYLES = {"denied": "bold red", "terms": "yellow", "error": "magenta", "allowed": "green", "unreserved": ""}


def _digests(option: str) -> Any:
    return typer.Option(f"--{option}", help=f"The {option.upper()} of an item's bytes; may be repeated.")


def check(
    snapshot: SnapshotOption,
    urls: Annotated[
        list[str] | None,
        typer.Argument(help="URLs; `-` reads one a line from standard input.", show_default=False),
    ] = None,
    sha256: Annotated[list[str] | None, _digests("sha256")] = None,
    md5: Annotated[list[str] | None, _digests("md5")] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", help="A caption, looked through for names; may be repeated.")
    ] = None,
    use: UseOption = UseName.AI_TRAIN_GENERATIVE,
    at: AtOption = None,
    min_grade: GradeOption = 0,
    names: NamesOption = NamesRule.FLAG,
    trust: TrustOption = None,
    fail_on: Annotated[
        list[OutcomeName] | None,
        typer.Option(
            "--fail-on",
            help="Exit with 1 if an item has this outcome; may be repeated.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Ask what a snapshot says about single items, and why.

    Exits with 0 when every item got its answer, whatever the answers are, unless --fail-on says otherwise.
    """
    items = [
        *({"url": url} for url in _with_stdin(urls or [])),
        *({"sha256": digest} for digest in sha256 or []),
        *({"md5": digest} for digest in md5 or []),
        *({"text": caption} for caption in text or []),
    ]
    if not items:
        raise UsageError("give at least one URL, --sha256, --md5 or --text (or `-`)", code="no_items")
    results = _answer(items, snapshot, trust, use, at, min_grade, names, as_json=as_json)
    return int(any(result["outcome"] in (fail_on or ()) for result in results))


def _with_stdin(urls: list[str]) -> list[str]:
    """The URLs, with the lines of standard input in the place of `-`."""
    found = []
    for url in urls:
        if url == "-":
            # Bytes that are no text stay in the line, and become that item's error.
            lines = sys.stdin.buffer.read().decode("utf-8", "surrogateescape").splitlines()
            found += [line.strip() for line in lines if line.strip()]
        else:
            found.append(url)
    return found


def _answer(
    items: list[dict[str, str]],
    snapshot: Path,
    trust: list[Path] | None,
    use: UseName,
    at: str | None,
    min_grade: int,
    names: NamesRule,
    *,
    as_json: bool,
) -> list[dict[str, Any]]:
    from optout.snapshot import open_snapshot

    question = make_question(use, at, min_grade, names)
    opened = open_snapshot(snapshot, trust=public_keys(trust))
    results = [
        {"item": item, **answer} for item, answer in zip(items, opened.check(items, question), strict=True)
    ]
    if as_json:
        print_json({"snapshot": opened.digest, "use": use, "results": results})
    else:
        print_table(_table(results))
        typer.echo(f"asked about {use}; snapshot {opened.digest[:16]}")
    return results


def _table(results: list[dict[str, Any]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table("item", "outcome", "because", box=None, pad_edge=False, header_style="bold")
    for result in results:
        shown = next(iter(result["item"].values()))
        outcome = Text(result["outcome"], style=_STYLES[result["outcome"]])
        table.add_row(Text(_printable(shown)), outcome, Text("\n".join(_because(result))))
    return table


def _because(result: dict[str, Any]) -> list[str]:
    if result["error"]:
        return [f"cannot be judged: {result['error']}"]
    lines = [_sentence(reason) for reason in result["reasons"]]
    return lines + [f"flag: {_sentence(reason)}" for reason in result["flags"]]


def _sentence(reason: dict[str, Any]) -> str:
    terms = f", terms {reason['terms_url']}" if reason["terms_url"] else ""
    owner = reason["owner"] or "unnamed owner"
    return _printable(
        f"{owner} says {reason['decision']} for {reason['selector']} {reason['matched']} "
        f"({reason['how']}, grade {reason['grade']}{terms})"
    )


def _printable(text: str) -> str:
    """Text from outside must not steer the terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)[:500]
