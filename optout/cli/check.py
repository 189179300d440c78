"""`optout check`."""

import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from optout.cli.common import (
    AtOption,
    EvidenceTier,
    GradeOption,
    JsonOption,
    NamesOption,
    NamesRule,
    SnapshotOption,
    TrustOption,
    UseName,
    UseOption,
    complain,
    make_question,
    print_json,
    print_table,
    printable,
    public_keys,
)
from optout.errors import BadInput, UsageError
from optout.words import Outcome

if TYPE_CHECKING:
    from rich.table import Table

    from optout.engine import Question

__all__ = ["check"]


class OutcomeName(StrEnum):
    """The outcomes, as the command line spells them."""

    UNRESERVED = Outcome.UNRESERVED.label
    ALLOWED = Outcome.ALLOWED.label
    TERMS = Outcome.TERMS.label
    DENIED = Outcome.DENIED.label
    ERROR = Outcome.ERROR.label


_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp", ".avif", ".jp2"})
_STYLES = {"denied": "bold red", "terms": "yellow", "error": "magenta", "allowed": "green", "unreserved": ""}


def _digests(option: str, what: str = "bytes") -> Any:
    return typer.Option(f"--{option}", help=f"The {option.upper()} of an item's {what}; may be repeated.")


def check(
    snapshot: SnapshotOption,
    items: Annotated[
        list[str] | None,
        typer.Argument(
            help="URLs, and pictures by the path of their file; `-` reads URLs from standard input.",
            metavar="[URL|PICTURE]…",
            show_default=False,
        ),
    ] = None,
    sha256: Annotated[list[str] | None, _digests("sha256")] = None,
    md5: Annotated[list[str] | None, _digests("md5")] = None,
    phash: Annotated[list[str] | None, _digests("phash", "picture")] = None,
    pdq: Annotated[list[str] | None, _digests("pdq", "picture")] = None,
    fingerprint: Annotated[
        list[str] | None,
        typer.Option("--fingerprint", help="What `optout hash` says of a picture; may be repeated."),
    ] = None,
    clip: Annotated[
        list[str] | None,
        typer.Option("--clip", help="An embedding of a picture (oce1:…); may be repeated."),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", help="A caption, looked through for names; may be repeated.")
    ] = None,
    use: UseOption = UseName.AI_TRAIN_GENERATIVE,
    at: AtOption = None,
    min_grade: GradeOption = 0,
    names: NamesOption = NamesRule.FLAG,
    evidence: Annotated[
        EvidenceTier, typer.Option(help="The weakest evidence by which a picture counts as claimed.")
    ] = EvidenceTier.MATCH,
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
    A picture that cannot be read is an error, and the exit code is 3.
    """
    asked = [
        *map(_item, _with_stdin(items or [])),
        *_items("sha256", sha256),
        *_items("md5", md5),
        *_items("phash", phash),
        *_items("pdq", pdq),
        *_items("picture", fingerprint),
        *_items("clip", clip),
        *_items("text", text),
    ]
    if not asked:
        raise UsageError("give at least one URL, picture, hash, caption (or `-`)", code="no_items")
    question = replace(make_question(use, at, min_grade, names), evidence=evidence.value)
    results = _answer(asked, snapshot, trust, question, as_json=as_json)
    if any(item.broken for item in asked):
        return BadInput.exit_code
    return int(any(result["outcome"] in (fail_on or ()) for result in results))


class _Item(NamedTuple):
    """What is asked about: as people see it, as `Snapshot.check` takes it, and what is wrong with it."""

    shown: dict[str, str]
    fields: dict[str, Any]
    broken: str = ""


def _items(field: str, values: list[str] | None) -> list[_Item]:
    return [_Item({field: value}, {field: value}) for value in values or []]


def _item(written: str) -> _Item:
    """A picture or a URL."""
    if not _is_path(written):
        return _Item({"url": written}, {"url": written})
    from optout.hashes import hash_probes

    try:
        picture, probes = hash_probes(written)
    except BadInput as error:
        # An empty fingerprint is none: the item is an error, and the others still get their answers.
        return _Item({"path": written}, {"picture": ""}, str(error))
    shown = {"path": written, "picture": picture.fingerprint, "sha256": picture.sha256, "md5": picture.md5}
    return _Item(shown, {"picture": probes, "sha256": picture.sha256, "md5": picture.md5})


def _is_path(written: str) -> bool:
    """Whether a file is meant: there is one, or a picture's name that is no address has been mistyped."""
    if "://" in written:
        return False
    try:
        if Path(written).is_file():
            return True
    except (OSError, ValueError):
        return False
    host, slash, _ = written.partition("/")
    named = Path(written).suffix.lower() in _SUFFIXES
    return named and (not slash or "." not in host or written.startswith("."))


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
    items: list[_Item], snapshot: Path, trust: list[Path] | None, question: "Question", *, as_json: bool
) -> list[dict[str, Any]]:
    from optout.snapshot import open_snapshot

    opened = open_snapshot(snapshot, trust=public_keys(trust))
    answers = opened.check([item.fields for item in items], question)
    results = [{"item": item.shown, **answer} for item, answer in zip(items, answers, strict=True)]
    for item in items:
        if item.broken:
            complain(item.broken)
    use = question.use.label
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
    what, how = f"{reason['selector']} {reason['matched']}", reason["how"]
    if reason["how"] in ("pdq", "phash", "embedding"):
        what, how = _resemblance(reason), f"{reason['tier']} up to {reason['threshold']:g}"
    return _printable(f"{owner} says {reason['decision']} for {what} ({how}, grade {reason['grade']}{terms})")


def _resemblance(reason: dict[str, Any]) -> str:
    """How a picture is like the one that was claimed."""
    view = "" if reason["view"] == "unknown" else f" ({reason['view']} view)"
    turned = "" if reason["orientation"] == "upright" else f", {reason['orientation']}"
    if reason["how"] == "embedding":
        return f"a picture by its embedding: 1 - cosine is {reason['distance']:.3f} by {reason['matched']}"
    bits = {"pdq": 256, "phash": 64}[reason["how"]]
    return (
        f"a {reason['selector']}{view}{turned}: {reason['distance']} of {bits} bits of {reason['how']} apart"
    )


def _printable(text: str) -> str:
    return printable(text[:500])
