"""An audit from end to end: prompts, drawing, matching, report."""

import io
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from optout.engine import Question
from optout.engine.items import Evidence
from optout.errors import DoesNotHold, UsageError
from optout.filter.atomic import ensure_directory, sha256_of
from optout.receipt import RECEIPT_NAME
from optout.snapshot import Snapshot
from trainer.audit.drawing import draw_all, load_pipeline
from trainer.audit.findings import Finding, find
from trainer.audit.looking import Looker
from trainer.audit.names import told_names
from trainer.audit.prompts import Prompt, choose_prompts
from trainer.audit.shown import find_claimed, save_small
from trainer.audit.works import Works, read_works
from trainer.data.files import CoveredFiles
from trainer.data.shards import find_shards
from trainer.gate import USE, Admission
from trainer.settings import Validation

__all__ = ["PAGE_NAME", "REPORT_NAME", "Audit", "Audited", "audit", "make_room"]

REPORT_NAME, PAGE_NAME = "audit.json", "audit.html"

Progress = Callable[[str, int, int], object]


@dataclass(frozen=True)
class Audit:
    """What an audit does.

    Attributes:
        given: prompts of the caller.
        captions: how many training captions are drawn at most.
        per_prompt: pictures a prompt.
        drawing: denoising steps, guidance and seed.
        evidence: the weakest tier that counts.
        looker: looks at what is drawn and at what it is held against.
    """

    given: Sequence[str] = ()
    captions: int = 100
    per_prompt: int = 2
    drawing: Validation = field(default_factory=Validation)
    evidence: Evidence = "match"
    looker: Looker = field(default_factory=lambda: Looker(1))


@dataclass(frozen=True)
class Audited:
    """What an audit found.

    Attributes:
        model, snapshot: what was audited, and the digest of what it was held against.
        weights: SHA-256 of the model's weights by name.
        settings: of the audit.
        prompts: one for each picture.
        pictures: names of the drawn pictures' files, relative to the report.
        findings: the strongest first.
        works: the training works; None if they were not at hand.
        shown: file of the work of each finding that there is a picture of, by the finding's number.
    """

    model: Path
    snapshot: str
    weights: dict[str, str]
    settings: Audit
    prompts: Sequence[Prompt]
    pictures: Sequence[str]
    findings: Sequence[Finding]
    works: Works | None
    shown: dict[int, str]

    @property
    def clean(self) -> bool:
        """Whether nothing was found that counts."""
        return not any(finding.counts for finding in self.findings)


def audit(
    model: Path,
    snapshot: Snapshot,
    out: Path,
    settings: Audit,
    *,
    base: Path | None = None,
    admission: Admission | None = None,
    originals: Path | None = None,
    progress: Progress,
) -> Audited:
    """Let a model draw, and hold what it draws against the registry and against what it was trained on.

    Args:
        model: directory of the model.
        snapshot: the registry's.
        out: directory of the pictures; see `make_room`.
        settings: of the audit.
        base: what a low-rank update is for.
        admission: the data that the model was trained on; None audits against the registry alone.
        originals: pictures or tars of claimed works, if at hand: only looked at, to be shown.
        progress: called with what is done, how much of it more, and of how many (0: unknown).

    Raises:
        DoesNotHold: the data is not what the model was trained on (`other_receipt`), or was changed.
        UsageError: there is nothing to draw (`no_prompts`).
        BadInput: the model cannot be loaded.
    """
    question = Question(USE, evidence=settings.evidence)
    pipeline = load_pipeline(model, base)
    works = None if admission is None else _works(model, admission, settings, progress)
    prompts = _prompts(works, told_names(snapshot, question), settings)
    make_room(out)
    pictures: list[str] = []
    items: list[dict[str, Any]] = []
    for some in _drawn(pipeline, prompts, settings, progress):
        for picture in some:
            pictures.append(f"drawn/{len(pictures):05d}.png")
            (out / pictures[-1]).write_bytes(picture)
        items += [seen.item for seen in settings.looker.look(some)]
    findings = find(snapshot, works, items, question)
    return Audited(
        model=model,
        snapshot=snapshot.digest,
        weights=_weights(model),
        settings=settings,
        prompts=prompts,
        pictures=pictures,
        findings=findings,
        works=works,
        shown=_shown(snapshot, findings, works, originals, question, settings.looker, out),
    )


def _prompts(works: Works | None, names: Sequence[str], settings: Audit) -> list[Prompt]:
    """A prompt for each picture."""
    prompts = choose_prompts(
        () if works is None else works.works,
        names,
        settings.given,
        captions=settings.captions,
        seed=settings.drawing.seed,
    )
    if not prompts:
        raise UsageError(
            "there is nothing to draw: the snapshot tells no names; give the training data with --data, or "
            "prompts with --prompts",
            code="no_prompts",
        )
    return [prompt for prompt in prompts for _ in range(settings.per_prompt)]


def make_room(out: Path) -> None:
    """Make the report's directory; an earlier report there is replaced, and nothing else.

    Raises:
        UsageError: something else is there (`output_exists`), or it cannot be written (`unwritable`).
    """
    if out.exists() and any(out.iterdir()) and not (out / REPORT_NAME).exists():
        raise UsageError(
            f"{out} holds something else than a report; name another folder", code="output_exists"
        )
    for name in ("drawn", "works"):
        shutil.rmtree(out / name, ignore_errors=True)
        ensure_directory(out / name)


def _works(model: Path, admission: Admission, settings: Audit, progress: Progress) -> Works:
    beside = model / RECEIPT_NAME
    if beside.is_file() and sha256_of(beside) != admission.receipt_sha256:
        raise DoesNotHold(
            f"{admission.data} is not what {model} was trained on: the receipt beside the model is another",
            code="other_receipt",
        )
    shards = find_shards(CoveredFiles(admission.data, admission.files))
    total = int(admission.predicate["counts"]["kept"])
    return read_works(
        shards, settings.looker, lambda count: progress("looking at what was trained on", count, total)
    )


def _drawn(
    pipeline: Any, prompts: Sequence[Prompt], settings: Audit, progress: Progress
) -> Iterator[list[bytes]]:
    """The files of the drawn pictures, some at a time."""
    for some in draw_all(pipeline, [prompt.text for prompt in prompts], settings.drawing):
        yield [_png(picture) for picture in some]
        progress("drawing", len(some), len(prompts))


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _weights(model: Path) -> dict[str, str]:
    files = sorted(path for path in model.rglob("*.safetensors") if path.is_file())
    return {path.relative_to(model).as_posix(): sha256_of(path) for path in files}


def _shown(
    snapshot: Snapshot,
    findings: Sequence[Finding],
    works: Works | None,
    originals: Path | None,
    question: Question,
    looker: Looker,
    out: Path,
) -> dict[int, str]:
    """Write the work of each finding that there is a picture of; their files by the finding's number."""
    claims = {finding.claim for finding in findings if finding.claim}
    claimed = find_claimed(snapshot, originals, claims, question, looker) if originals and claims else {}
    shown = {}
    for number, finding in enumerate(findings):
        if works is not None and finding.work is not None:
            name, picture = f"works/training-{finding.work:08d}.png", works.picture(finding.work)
        elif finding.claim in claimed:
            name, picture = f"works/{finding.claim}.png", claimed[finding.claim]
        else:
            continue
        if (out / name).exists() or save_small(picture, out / name):
            shown[number] = name
    if works is not None:
        works.close()
    return shown
