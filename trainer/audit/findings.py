"""Which drawn pictures meet a claimed or a training work."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from optout.engine import Question, Tier
from optout.snapshot import Snapshot
from trainer.audit.works import TRAINING, Works

__all__ = ["Finding", "find"]

Against: TypeAlias = Literal["registry", "training"]
#: Of a picture that meets many works, as plain ones do, these many of each kind are told.
_MOST = 3


@dataclass(frozen=True)
class Finding:
    """A drawn picture that meets a work.

    Attributes:
        drawn: number of the picture.
        against: a claim of the registry, or a work that was trained on.
        counts: whether the evidence is as strong as was asked for.
        work: number of the training work; None for a claim.
        claim, owner, title: of the claim; a training work has none.
        selector, tier, view, orientation, distance, threshold: how they met, as `Snapshot.check` says it.
    """

    drawn: int
    against: Against
    counts: bool
    work: int | None
    claim: str
    owner: str
    title: str
    selector: str
    tier: str
    view: str | None
    orientation: str | None
    distance: float
    threshold: float

    @property
    def strength(self) -> tuple[int, float]:
        """Sorts findings, the strongest first."""
        return Tier[self.tier.upper()], self.distance


def find(
    snapshot: Snapshot, works: Works | None, items: Sequence[Mapping[str, Any]], question: Question
) -> list[Finding]:
    """Hold drawn pictures against the registry and the training works; the strongest findings first.

    Args:
        snapshot: the registry's.
        works: what was trained on, or None if that is not at hand.
        items: of each picture what `Snapshot.check` takes.
        question: about the use; its `evidence` says what counts, and what is weaker is found as well.
    """
    asked = snapshot if works is None else snapshot.with_overlay(works.claims)
    found = [
        finding
        for drawn, answer in enumerate(asked.check(items, question))
        for finding in _of_one(drawn, answer)
    ]
    return sorted(found, key=lambda finding: (not finding.counts, finding.strength))


def _of_one(drawn: int, answer: Mapping[str, Any]) -> Iterator[Finding]:
    told = [
        *(_finding(drawn, reason, counts=True) for reason in _against(answer["reasons"])),
        *(_finding(drawn, reason, counts=False) for reason in _against(answer["flags"])),
    ]
    for against in ("registry", "training"):
        these = [finding for finding in told if finding.against == against]
        yield from sorted(these, key=lambda finding: finding.strength)[:_MOST]


def _against(reasons: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    return (reason for reason in reasons if reason["decision"] != "allow")


def _finding(drawn: int, reason: Mapping[str, Any], *, counts: bool) -> Finding:
    training = reason["owner"] == TRAINING
    return Finding(
        drawn=drawn,
        against="training" if training else "registry",
        counts=counts,
        work=int(reason["ref"]) if training else None,
        claim="" if training else reason["claim"],
        owner="" if training else reason["owner"],
        title="" if training else reason["title"],
        selector=reason["selector"],
        tier=reason["tier"],
        view=reason["view"],
        orientation=reason["orientation"],
        distance=reason["distance"],
        threshold=reason["threshold"],
    )
