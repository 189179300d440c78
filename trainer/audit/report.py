"""The report of an audit: JSON for programs, one page with the pictures side by side for people."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from trainer.audit.findings import Finding
from trainer.audit.run import PAGE_NAME, REPORT_NAME, Audited

__all__ = ["as_json", "write_report"]

_ORIGINS = {"caption": "training captions", "name": "claimed names", "given": "given"}
_NO_PICTURE = '<div class="none">There is no picture of the work.</div>\n'
_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem; }
table { border-collapse: collapse; }
th { font-weight: normal; opacity: .7; padding-right: 2rem; text-align: left; vertical-align: top; }
td { overflow-wrap: anywhere; }
.pair { border-top: 1px solid #8888; display: grid; gap: 1rem; grid-template-columns: 14rem 14rem 1fr; }
.pair, .all { padding: 1rem 0; }
.all { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; }
.all figure { width: 9rem; }
img { background: #8882; image-rendering: pixelated; width: 100%; }
figcaption, .none { font-size: .875rem; opacity: .8; overflow-wrap: anywhere; }
.none { align-items: center; border: 1px dashed #8888; display: flex; padding: 1rem; }
p { margin: 0 0 .5rem; }
@media (max-width: 44rem) { .pair { grid-template-columns: 1fr 1fr; } }
"""


def write_report(audited: Audited, out: Path) -> dict[str, Any]:
    """Write both forms into `out`, the page first; the JSON's content."""
    content = as_json(audited)
    (out / PAGE_NAME).write_text("".join(_page(audited, content)), "utf-8")
    (out / REPORT_NAME).write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    return content


def as_json(audited: Audited) -> dict[str, Any]:
    """All that was done and found."""
    works = audited.works
    counted = [finding for finding in audited.findings if finding.counts]
    drawing, model = audited.settings.drawing, audited.settings.looker.model
    return {
        "clean": audited.clean,
        "model": str(audited.model),
        "weights": audited.weights,
        "snapshot": audited.snapshot,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "evidence": audited.settings.evidence,
        "embeddings": None if model is None else model.identity,
        "drawing": {"steps": drawing.steps, "guidance": drawing.guidance, "seed": drawing.seed},
        "counts": {
            "pictures": len(audited.pictures),
            "prompts": {
                origin: sum(prompt.origin == origin for prompt in set(audited.prompts))
                for origin in ("caption", "name", "given")
            },
            "training_works": None if works is None else len(works.works),
            "training_works_without_hash": None if works is None else works.unmatchable,
            "registry": _pictures(counted, "registry"),
            "training": _pictures(counted, "training"),
            "for_review": len({each.drawn for each in audited.findings} - {each.drawn for each in counted}),
        },
        "findings": [_finding(audited, number) for number in range(len(audited.findings))],
        "pictures": [
            {"file": file, **prompt._asdict()}
            for file, prompt in zip(audited.pictures, audited.prompts, strict=True)
        ],
    }


def _pictures(findings: Iterable[Finding], against: str) -> int:
    """How many drawn pictures meet a work of that kind."""
    return len({finding.drawn for finding in findings if finding.against == against})


def _finding(audited: Audited, number: int) -> dict[str, Any]:
    finding = audited.findings[number]
    content = asdict(finding)
    content["picture"] = audited.pictures[content.pop("drawn")]
    content["prompt"] = audited.prompts[finding.drawn].text
    content["work"] = _name_of(audited, finding)
    content["shown"] = audited.shown.get(number)
    return content


def _name_of(audited: Audited, finding: Finding) -> str | None:
    if audited.works is None or finding.work is None:
        return None
    return audited.works.works[finding.work].name


def _page(audited: Audited, content: dict[str, Any]) -> Iterator[str]:
    title = f"Audit of {audited.model.name}"
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield '<meta name="viewport" content="width=device-width">\n'
    yield f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
    yield f"<h1>{escape(title)}</h1>\n<p><strong>{escape(_verdict(audited, content))}</strong></p>\n"
    yield from _facts(audited, content)
    for heading, counts in (("Found", True), ("For review", False)):
        numbers = [at for at, finding in enumerate(audited.findings) if finding.counts is counts]
        if numbers:
            yield f"<h2>{heading}</h2>\n"
            yield from (_pair(audited, number) for number in numbers)
    yield '<h2>Everything that was drawn</h2>\n<div class="all">\n'
    for file, prompt in zip(audited.pictures, audited.prompts, strict=True):
        yield _figure(file, prompt.text)
    yield "</div>\n</body>\n</html>\n"


def _verdict(audited: Audited, content: dict[str, Any]) -> str:
    counts = content["counts"]
    if audited.clean:
        return f"None of {counts['pictures']:,} pictures is one of the works they were held against."
    parts = [
        f"{counts['registry']:,} of works that the registry protects" if counts["registry"] else "",
        f"{counts['training']:,} of works that the model was trained on" if counts["training"] else "",
    ]
    return f"The model draws copies: {' and '.join(filter(None, parts))}."


def _facts(audited: Audited, content: dict[str, Any]) -> Iterator[str]:
    counts, prompts = content["counts"], content["counts"]["prompts"]
    model = audited.settings.looker.model
    works = counts["training_works"]
    plain = f"{counts['training_works_without_hash'] or 0:,} of them too plain to match"
    rows = {
        "Pictures drawn": f"{counts['pictures']:,}",
        "Prompts": ", ".join(f"{prompts[origin]:,} {label}" for origin, label in _ORIGINS.items()),
        "Held against": f"snapshot {audited.snapshot}",
        "Training works": "not at hand" if works is None else f"{works:,}, {plain}",
        "Compared by": f"hashes and {model.record.id}" if model else "hashes",
        "Evidence that counts": f"{content['evidence']}, or stronger",
        "Finished": content["finished"],
        **{f"Weights {name}": f"SHA-256 {digest}" for name, digest in audited.weights.items()},
    }
    yield "<table>\n"
    yield from (f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>\n" for name, text in rows.items())
    yield "</table>\n"


def _pair(audited: Audited, number: int) -> str:
    finding = audited.findings[number]
    drawn = _figure(audited.pictures[finding.drawn], "drawn")
    shown = audited.shown.get(number)
    work = (
        _figure(shown, "the work") if shown else '<div class="none">There is no picture of the work.</div>\n'
    )
    lines = "".join(f"<p>{escape(line)}</p>\n" for line in _told(audited, finding))
    return f'<div class="pair">\n{drawn}{work}<div>\n{lines}</div>\n</div>\n'


def _told(audited: Audited, finding: Finding) -> Iterator[str]:
    prompt = audited.prompts[finding.drawn]
    origin = {"caption": "a training caption", "name": "a claimed name", "given": "given"}[prompt.origin]
    yield f"“{prompt.text}” ({origin})"
    if finding.against == "training":
        yield f"is {_name_of(audited, finding)}, which the model was trained on."
    else:
        owner = finding.owner or "an owner without a name"
        yield f"is a work of {owner}{f', {finding.title}' if finding.title else ''}. Claim {finding.claim}."
    turned = "" if finding.orientation in (None, "upright") else f", {finding.orientation}"
    view = "" if finding.view in (None, "whole", "unknown") else f", {finding.view} view"
    if finding.selector == "clip":
        likeness = (
            f"the embeddings are {finding.distance:g} apart (1 - cosine), and {finding.threshold:g} may be"
        )
    else:
        likeness = f"{finding.distance:g} bits of the hashes differ, and {finding.threshold:g} may"
    yield f"{finding.tier}: {likeness}{view}{turned}"


def _figure(file: str, caption: str) -> str:
    source, text = escape(file), escape(caption)
    return (
        f'<figure><img src="{source}" alt="{text}" loading="lazy"><figcaption>{text}</figcaption></figure>\n'
    )
