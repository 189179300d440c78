"""The items of a check, from JSON or an Arrow stream into columns: tight loops, no object an item."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, get_args

import pyarrow as pa
from django.utils.dateparse import parse_datetime

from api.problems import Problem
from optout.engine import Items, Question
from optout.engine.items import TEXTS, Evidence
from optout.errors import BadInput
from optout.snapshot.embeddings import read_embeddings
from optout.words import Grade, Use

__all__ = ["DEFAULT_USE", "EVIDENCE", "KINDS", "QUESTION", "assembled", "items_of", "question_of", "too_many"]

#: What an item may have, and the columns of an Arrow stream.
KINDS: Final = ("url", "text", "sha256", "md5", "phash", "pdq", "picture", "clip")
_KINDS = frozenset(KINDS)
#: What a question may say beside its items.
QUESTION: Final = ("use", "min_grade", "names", "evidence", "at")
_MEMBERS = frozenset({"urls", "items", *QUESTION})
_NAMES = ("flag", "remove", "ignore")
EVIDENCE: Final = get_args(Evidence)
_GRADES = frozenset(str(int(grade)) for grade in Grade)
# The use at the bottom of the lattice: every claim about training speaks about it.
DEFAULT_USE: Final = Use.AI_TRAIN_GENERATIVE


def question_of(asked: Mapping[str, Any]) -> Question:
    """The question in a JSON body or a query string.

    Raises:
        Problem: 400, with the field that is wrong.
    """
    names: Any = asked.get("names", "flag")
    if names not in _NAMES:
        raise _wrong("names", "names is one of flag, remove, ignore.")
    evidence: Any = asked.get("evidence", "match")
    if evidence not in EVIDENCE:
        raise _wrong("evidence", f"evidence is one of {', '.join(EVIDENCE)}.")
    return Question(
        use=_use(asked.get("use", DEFAULT_USE.label)),
        at=_moment(asked.get("at")),
        min_grade=_grade(asked.get("min_grade", 0)),
        names=names,
        evidence=evidence,
    )


def _use(label: Any) -> Use:
    try:
        return Use.parse(str(label))
    except ValueError as exc:
        raise _wrong("use", str(exc)) from None


def _grade(number: Any) -> Grade:
    # In a query string it is a text.
    if str(number) not in _GRADES:
        raise _wrong("min_grade", f"min_grade is a number from 0 to {max(Grade):d}.")
    return Grade(int(number))


def _moment(text: Any) -> datetime | None:
    if text is None:
        return None
    try:
        moment = parse_datetime(text)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _wrong("at", "at is a date and time with its zone, such as 2026-11-22T12:00:00Z.")
    return moment


def items_of(body: Any, most: int) -> Items:
    """The items in a JSON body.

    Raises:
        Problem: 400 for a body of another form, naming the item; 413 for more than `most` items.
    """
    if not isinstance(body, dict) or not body.keys() <= _MEMBERS:
        raise _wrong("body", f"The body is an object with some of {', '.join(sorted(_MEMBERS))}.")
    if ("urls" in body) == ("items" in body):
        raise _wrong("items", "Send either `urls` or `items`.")
    member = "urls" if "urls" in body else "items"
    entries = body[member]
    if not isinstance(entries, list):
        raise _wrong(member, f"{member} is a list.")
    if len(entries) > most:
        raise too_many(len(entries), most)
    columns = {"url": entries} if member == "urls" else _columns(entries)
    arrays = {kind: _array(kind, column, member) for kind, column in columns.items()}
    return assembled(len(entries), arrays, url_optional=member == "items")


def assembled(length: int, columns: Mapping[str, Any], *, url_optional: bool) -> Items:
    """Items made of columns of text by their names in KINDS."""
    texts = {kind: column for kind, column in columns.items() if kind in TEXTS}
    items = Items(length, url_optional=url_optional, **texts)
    if "clip" in columns:
        items = items.with_embeddings(*_embeddings(columns["clip"]))
    return items.with_fingerprints(columns["picture"]) if "picture" in columns else items


def _embeddings(column: Any) -> Any:
    """Embeddings from a column of text, by model."""
    texts = column.cast(pa.large_binary()).to_pylist()
    try:
        return read_embeddings([text and text.decode("utf-8", "replace") for text in texts])
    except BadInput as error:
        raise _wrong("clip", f"{error}.") from None


def _columns(entries: list[Any]) -> dict[str, list[Any]]:
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        if type(entry) is not dict or not entry or not entry.keys() <= _KINDS:
            raise _wrong_item(index, f"An item is an object with some of {', '.join(KINDS)}.")
        seen.update(entry)
    return {kind: [entry.get(kind) for entry in entries] for kind in KINDS if kind in seen}


def _array(kind: str, column: Sequence[Any], member: str) -> pa.Array:
    try:
        return pa.array(column, pa.large_string())
    except (pa.ArrowException, TypeError):
        index = next(at for at, value in enumerate(column) if value is not None and type(value) is not str)
        raise _wrong_item(index, f"{kind} is a text, not {type(column[index]).__name__}.", member) from None


def too_many(count: int, most: int) -> Problem:
    """The refusal of a call with more than `most` items."""
    return Problem(
        413, "too_many_items", f"{count:,} items are more than the {most:,} of one call.", limit=most
    )


def _wrong(field: str, message: str) -> Problem:
    return Problem(400, "invalid", message, fields={field: [message]})


def _wrong_item(index: int, message: str, member: str = "items") -> Problem:
    return Problem(
        400, "invalid_item", f"Item {index}: {message}", item=index, fields={f"{member}.{index}": [message]}
    )
