"""The gate: which data a run may touch. Every run passes it before its first step, and nothing skips it.

A receipt answers for the data (`optout.receipt`). Here is asked what training needs on top: that the filter
was asked about this use, that it left out what it had to, and that its snapshot is not too old. Every refusal
says what to run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from optout.errors import BadInput, DoesNotHold, UsageError
from optout.filter.atomic import sha256_of
from optout.keys import PublicKey
from optout.receipt import Finding, verify_receipt
from optout.words import Use

__all__ = ["MAX_SNAPSHOT_AGE", "USE", "Admission", "admit", "filter_again"]

USE = Use.AI_TRAIN_GENERATIVE
MAX_SNAPSHOT_AGE = timedelta(days=30)
# Clocks of two machines may differ.
_CLOCK_SKEW = timedelta(hours=1)


@dataclass(frozen=True)
class Admission:
    """Data that may be trained on.

    Attributes:
        data: its directory.
        receipt: path of the receipt.
        receipt_sha256: digest of the receipt's bytes, in hex.
        statement: what the receipt states, signed by a trusted key.
        files: SHA-256 in hex by name, of every file the receipt covers.
    """

    data: Path
    receipt: Path
    receipt_sha256: str
    statement: Mapping[str, Any]
    files: Mapping[str, str]

    @property
    def predicate(self) -> Mapping[str, Any]:
        """What the filter run was asked and what came of it."""
        found: Mapping[str, Any] = self.statement["predicate"]
        return found

    @property
    def snapshot(self) -> str:
        """Digest of the snapshot that was asked."""
        return str(self.predicate["snapshot"]["digest"])


def admit(
    data: Path,
    receipt: Path,
    trust: Sequence[PublicKey],
    *,
    max_age: timedelta = MAX_SNAPSHOT_AGE,
    now: datetime | None = None,
) -> Admission:
    """Let data pass, or say why not and what to run.

    Reads every file of the data once, for its digest.

    Args:
        data: directory of filtered data.
        receipt: the receipt of the filter run that wrote it.
        trust: keys that may sign receipts.
        max_age: how long ago the snapshot may have been made, or asked.
        now: for tests; the present if left out.

    Raises:
        DoesNotHold: `unknown_key`, `expired_key`, `bad_signature`, `changed_file`, `missing_file`,
            `extra_file`, `other_use`, `other_mode`, `unjudged`, `stale_snapshot`, `future_receipt`, …
        BadInput: there is no receipt or no data.
        UsageError: no key to trust (`no_trust`).
    """
    if not trust:
        raise UsageError(
            "--trust PUBLIC.PEM is needed: a receipt says nothing without a key to check it by",
            code="no_trust",
        )
    if not receipt.is_file():
        raise BadInput(
            f"there is no receipt {receipt}; name it with --receipt, or filter the data first: optout filter "
            f"{data} --snapshot SNAPSHOT --use {USE.label} --mode drop --out FILTERED --key PRIVATE.PEM",
            code="no_such_file",
        )
    checked = verify_receipt(receipt, data, trust)
    if checked.statement is None or not checked.holds:
        bad = [finding for finding in checked.findings if not finding.holds]
        raise _refusal(data, receipt, bad, checked.statement["predicate"] if checked.statement else {})
    statement = checked.statement
    _require_question(statement["predicate"], data)
    _require_age(statement["predicate"], data, max_age, now or datetime.now(UTC))
    files = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    return Admission(data, receipt, sha256_of(receipt), statement, files)


def _refusal(data: Path, receipt: Path, bad: Sequence[Finding], predicate: Mapping[str, Any]) -> DoesNotHold:
    first = bad[0]
    if first.what == "signature":
        advice = (
            "pass the key of whoever filtered with --trust, or filter the data yourself with `optout filter`"
        )
        return DoesNotHold(f"the receipt {receipt} does not hold: {first.detail}; {advice}", code=first.code)
    if first.what.startswith("parent "):
        return DoesNotHold(
            f"{receipt} came after a receipt that does not hold, {first.what}: {first.detail}; pass the key "
            "of whoever signed that one with --trust as well, or begin again with `optout filter` of the "
            "metadata",
            code=first.code,
        )
    more = f" (and {len(bad) - 1} more files)" if len(bad) > 1 else ""
    return DoesNotHold(
        f"{data} is not what {receipt} was written for: {first.detail}{more}; "
        f"{filter_again(data, predicate)}, or restore the files as they were filtered",
        code=first.code,
    )


def filter_again(data: Path, predicate: Mapping[str, Any]) -> str:
    """What to run, for the sentences of refusals; a receipt that came after others is to do so again."""
    parents = " --parent-receipt EARLIER.JSON" * len(predicate.get("parents", ()))
    return (
        f"filter again: optout filter SOURCE --snapshot SNAPSHOT --use {USE.label} --mode drop "
        f"--out {data} --key PRIVATE.PEM --overwrite{parents}"
    )


def _require_question(predicate: Mapping[str, Any], data: Path) -> None:
    use, settings = predicate["question"]["use"], predicate["settings"]
    if use != USE.label:
        raise DoesNotHold(
            f"the data was filtered for {use}, not for {USE.label}; {filter_again(data, predicate)}",
            code="other_use",
        )
    if str(settings["mode"]) != "drop":
        raise DoesNotHold(
            f"the data was filtered with --mode {settings['mode']}, which leaves opted-out rows in; "
            f"{filter_again(data, predicate)}",
            code="other_mode",
        )
    if settings["keep_errors"]:
        raise DoesNotHold(
            "the data was filtered with --keep-errors, so it holds items nobody could judge; "
            f"{filter_again(data, predicate)} (without --keep-errors)",
            code="unjudged",
        )


def _require_age(predicate: Mapping[str, Any], data: Path, max_age: timedelta, now: datetime) -> None:
    """The snapshot's age: since when it speaks, where it says so, and since it was asked.

    The time of the question is the asker's to set, so it counts only where it is earlier than the run.
    """
    times = [predicate["question"]["at"], predicate["started"]]
    if as_of := (predicate["snapshot"]["checkpoint"] or {}).get("as_of"):
        times.append(as_of)
    asked = min(_moment(text) for text in times)
    if asked > now + _CLOCK_SKEW:
        raise DoesNotHold(
            f"the receipt is of {asked:%Y-%m-%d %H:%M}, which is in the future; set this machine's clock, or "
            f"{filter_again(data, predicate)}",
            code="future_receipt",
        )
    if now - asked > max_age:
        raise DoesNotHold(
            f"the snapshot speaks of {(now - asked).days} days ago, and {max_age.days} are allowed "
            f"(--max-snapshot-age); fetch the newest from the registry, and {filter_again(data, predicate)}",
            code="stale_snapshot",
        )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
