"""From text columns to claims: every rule of the exchange format, a column at a time."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from optout.errors import InvalidSelector
from optout.exchange.columns import Fault, Faults, text_columns
from optout.exchange.identity import Ledger, claim_ids
from optout.exchange.schema import CLAIM_SCHEMA, NEEDED_COLUMNS, TEXT_LIMITS, ClaimBatch, Rejected, excerpt_of
from optout.exchange.selectors import SUPPORTED_KINDS, canonical_values, validate_selector
from optout.words import Decision, Grade, SelectorKind, Use

__all__ = ["parse_claims"]


def parse_claims(
    table: pa.Table,
    *,
    rows: Sequence[int] | np.ndarray | None = None,
    default_owner: str = "",
    grade: int = Grade.STATED,
    ledger: Ledger | None = None,
) -> ClaimBatch:
    """Check a table of exchange columns (text; `uses` may be a list, `valid_from` a date or timestamp).

    Args:
        table: at least the columns `selector` and `value`; unknown columns are ignored.
        rows: number of each row in its source; 1, 2, … when left out.
        default_owner: the owner of rows that name none.
        grade: evidence grade given to every claim.
        ledger: what earlier batches of the same source stated, to find contradictions.

    Raises:
        BadInput: a needed column is missing (code `missing_column`).
    """
    numbers = np.arange(1, table.num_rows + 1) if rows is None else np.asarray(rows, np.int64)
    faults = Faults()
    texts = text_columns(table, faults)
    kinds = _each(texts["selector"], _parse_kind, faults)
    faults.add_where(texts["selector"].is_null(), "kind_missing", "the selector column is empty")
    values = _values(kinds, texts["value"], faults)
    decisions = _each(texts["decision"], _parse_decision, faults, default=Decision.DENY)
    uses = _each(texts["uses"], _parse_uses, faults, default=int(Use.TDM.covered))
    valid_from = _each(texts["valid_from"], _parse_instant, faults)
    _check_texts(texts, faults)
    _check_terms(texts["terms_url"], decisions, faults)
    columns = {
        "row": pa.array(numbers),
        "kind": kinds.cast(pa.uint8()),
        "value": values,
        "decision": decisions.cast(pa.uint8()),
        "uses": uses.cast(pa.uint8()),
        "owner": texts["owner"].fill_null(default_owner),
        "ref": texts["ref"].fill_null(""),
        "valid_from": valid_from.cast(pa.timestamp("us", tz="UTC")),
        "terms_url": texts["terms_url"].fill_null(""),
        "title": texts["title"].fill_null(""),
        "grade": pa.array(np.full(table.num_rows, grade, np.uint8)),
    }
    return _finish(columns, texts, faults, ledger or Ledger())


def _each(
    texts: pa.LargeStringArray, parse: Callable[[str], object], faults: Faults, default: object = None
) -> pa.Array:
    """Parse every distinct text once; rows that do not parse get the parser's sentence and stay null."""
    encoded = texts.dictionary_encode()
    parsed: list[object] = []
    refused: dict[int, Fault] = {}
    for position, text in enumerate(encoded.dictionary.to_pylist()):
        try:
            parsed.append(parse(text))
        except _Refused as refusal:
            parsed.append(None)
            refused[position] = Fault(refusal.code, str(refusal))
    if refused:
        faults.add_each(encoded.indices, refused)
    typed = pa.array(parsed, pa.timestamp("us", tz="UTC") if parse is _parse_instant else pa.int64())
    taken = typed.take(encoded.indices)
    return taken if default is None else pc.if_else(texts.is_null(), pa.scalar(default, taken.type), taken)


class _Refused(Exception):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def _parse_kind(text: str) -> int:
    try:
        kind = SelectorKind.parse(text)
    except ValueError as error:
        raise _Refused("unknown_kind", str(error)) from error
    if kind not in SUPPORTED_KINDS:
        raise _Refused("kind_not_supported", f"selectors of kind {kind.label!r} are not taken yet")
    return int(kind)


def _parse_decision(text: str) -> int:
    try:
        return int(Decision[text.upper()])
    except KeyError:
        raise _Refused(
            "unknown_decision", f"unknown decision {text!r}; a decision is deny, allow or terms"
        ) from None


def _parse_uses(text: str) -> int:
    uses = Use(0)
    try:
        for word in text.replace(",", " ").replace("|", " ").split():
            uses |= Use.parse(word)
    except ValueError as error:
        raise _Refused("unknown_use", str(error)) from error
    if not uses:
        raise _Refused("unknown_use", f"no use is named in {text!r}")
    return int(uses.covered)


def _parse_instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
        return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        sentence = f"{text!r} is not a date (2026-01-31) or date-time (2026-01-31T12:00:00Z)"
        raise _Refused("invalid_date", sentence) from None


def _values(kinds: pa.Array, texts: pa.LargeStringArray, faults: Faults) -> pa.LargeStringArray:
    """Canonical values of every row whose kind is known; null, with a fault, where there is none."""
    faults.add_where(texts.is_null(), "value_missing", "the selector has no value")
    known = pc.if_else(texts.is_valid(), kinds, None).fill_null(0).to_numpy()
    order = np.argsort(known, kind="stable")
    starts = np.flatnonzero(np.diff(known[order], prepend=-1))
    pieces = []
    for where in np.split(order, starts[1:]):
        values = _values_of(int(known[where[0]]), texts.take(pa.array(where))) if len(where) else texts
        pieces.append(values)
        _explain(known, texts, where[values.is_null().to_numpy(zero_copy_only=False)], faults)
    inverse = np.empty_like(order)
    inverse[order] = np.arange(len(order))
    return pa.concat_arrays(pieces).take(pa.array(inverse))


def _values_of(kind: int, texts: pa.LargeStringArray) -> pa.LargeStringArray:
    return canonical_values(SelectorKind(kind), texts) if kind else pa.nulls(len(texts), pa.large_string())


def _explain(kinds: np.ndarray, texts: pa.LargeStringArray, where: np.ndarray, faults: Faults) -> None:
    """Give every refused value the sentence of `validate_selector`."""
    for position in where[kinds[where] != 0].tolist():
        try:
            validate_selector(SelectorKind(int(kinds[position])), texts[position].as_py())
        except InvalidSelector as error:
            faults.first.setdefault(position, Fault(error.code, str(error)))
        else:
            # Should the two ever disagree, that costs a row and not the file.
            faults.first.setdefault(position, Fault("invalid_value", "the value cannot be made canonical"))


def _check_texts(texts: dict[str, pa.LargeStringArray], faults: Faults) -> None:
    for name, limit in TEXT_LIMITS.items():
        column = texts[name]
        if (pc.max(pc.binary_length(column)).as_py() or 0) > limit:
            long = pc.greater(pc.utf8_length(column), limit)
            faults.add_where(long, "too_long", f"{name!r} is longer than {limit} characters")
        if _may_hold_controls(column):
            control = pc.match_substring_regex(column, r"[\x00-\x1f\x7f]")
            faults.add_where(
                control, "control_character", f"{name!r} holds a control character or line break"
            )


def _may_hold_controls(column: pa.LargeStringArray) -> bool:
    """Whether a look at every row is worth its time: one pass over the bytes mostly says no."""
    text = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    return bool(len(text)) and bool(text.min() < 0x20 or (text == 0x7F).any())


def _check_terms(terms: pa.LargeStringArray, decisions: pa.Array, faults: Faults) -> None:
    encoded = terms.dictionary_encode()
    bad = {
        position: Fault(
            "invalid_terms_url", f"the terms_url {excerpt_of(url)!r} is not an http or https address"
        )
        for position, url in enumerate(encoded.dictionary.to_pylist())
        if not _is_web_address(url)
    }
    faults.add_each(encoded.indices, bad)
    silent = pc.and_(pc.equal(decisions, int(Decision.TERMS)), terms.is_null())
    faults.add_where(
        silent, "terms_url_missing", "the decision is terms, but no terms_url says where they are"
    )


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", text)
    except ValueError:
        return False


def _finish(
    columns: dict[str, pa.Array], texts: dict[str, pa.LargeStringArray], faults: Faults, ledger: Ledger
) -> ClaimBatch:
    """Drop the bad rows, name the claims, and refuse rows that contradict an earlier row of their claim."""
    good = np.ones(len(columns["row"]), bool)
    good[list(faults.first)] = False
    claims = pa.table({**columns, "claim_id": pa.nulls(len(good), pa.binary(16))})
    kept = claims.filter(pa.array(good))
    kept = kept.set_column(kept.num_columns - 1, "claim_id", claim_ids(kept))
    contradicts = ledger.contradictions(kept)
    positions = np.flatnonzero(good)[contradicts]
    faults.add(positions, "conflicting_ref", "an earlier row with this owner and ref states something else")
    rejected = [
        Rejected(columns["row"][at].as_py(), *fault, _excerpt(texts, at))
        for at, fault in sorted(faults.first.items())
    ]
    if len(positions):
        kept = kept.filter(pa.array(~contradicts))
    return ClaimBatch(kept.cast(CLAIM_SCHEMA), rejected)


def _excerpt(texts: dict[str, pa.LargeStringArray], at: int) -> str:
    return excerpt_of(" ".join(text for name in NEEDED_COLUMNS if (text := texts[name][at].as_py())))
