"""The model card: what the model is, how it is used, and where what it learned from came from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.data.history import History
from trainer.gate import Admission
from trainer.licences import Licence
from trainer.settings import Settings

__all__ = ["CardFacts", "model_card"]

_DOMAINS = 20
_SKIPPED = 10


@dataclass(frozen=True)
class CardFacts:
    """What a card tells of.

    Attributes:
        name: title.
        settings: of the run.
        admission: the data and its receipt.
        history: what was trained on.
        licence: of the model.
        prediction: what the denoiser predicts.
        base: what it was made from, or None.
        signed_by: id of the key that signs the statement, or None.
        checked: digest of a newer snapshot that the data was checked against as well, or None.
        loss: of the last steps.
    """

    name: str
    settings: Settings
    admission: Admission
    history: History
    licence: Licence
    prediction: str
    base: str | None
    signed_by: str | None
    checked: str | None
    loss: float | None


def model_card(facts: CardFacts) -> str:
    """The card as Markdown with the header that model hubs read."""
    parts = [_header(facts), f"# {facts.name}\n", _intro(facts), _use(facts), _provenance(facts)]
    parts += [_training(facts), _licence(facts)]
    return "\n".join(parts)


def _header(facts: CardFacts) -> str:
    lora = facts.settings.lora.rank > 0
    lines = ["---", f"license: {facts.licence.identifier}"]
    if facts.licence.identifier == "other":
        lines.append("license_name: see-model-card")
    lines += [f"base_model: {_quoted(facts.base)}"] if facts.base else []
    lines += ["library_name: diffusers", "pipeline_tag: text-to-image", "tags:"]
    lines += ["- diffusers", "- text-to-image", *(["- lora"] if lora else []), "- opt-out-respected", "---\n"]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _intro(facts: CardFacts) -> str:
    what = {"unet": "A UNet", "dit": "A diffusion transformer", "checkpoint": "A Stable Diffusion"}
    how = "trained from scratch" if facts.base is None else f"made from {Path(facts.base).name}"
    update = " (a low-rank update, LoRA)" if facts.settings.lora.rank else ""
    return (
        f"{what[facts.settings.model.kind]} for text to image{update}, {how}. It was trained only on what "
        "its receipt covers: data from which was left out, beforehand, everything whose owners opted out.\n"
    )


def _use(facts: CardFacts) -> str:
    prompt = next(iter(facts.settings.validation.prompts), "a picture")
    quoted = _quoted(prompt)
    if facts.settings.lora.rank:
        lines = [
            "from diffusers import DiffusionPipeline",
            f"pipeline = DiffusionPipeline.from_pretrained({_quoted(str(facts.base))})",
            'pipeline.load_lora_weights("path/to/this/model")',
        ]
        more = (
            "`pytorch_lora_weights.safetensors` is for diffusers and InvokeAI, `*_kohya.safetensors` for "
            "ComfyUI and A1111.\n"
        )
    else:
        lines = [
            "from diffusers import DiffusionPipeline",
            'pipeline = DiffusionPipeline.from_pretrained("path/to/this/model")',
        ]
        more = ""
    lines.append(f'pipeline({quoted}).images[0].save("picture.png")')
    code = "\n".join(f"    {line}" for line in lines)
    return f"## Use\n\n{code}\n\n{more}"


def _provenance(facts: CardFacts) -> str:
    predicate, admission = facts.admission.predicate, facts.admission
    snapshot, counts = predicate["snapshot"], predicate["counts"]
    rows = {
        "Receipt": f"`receipt.json`, SHA-256 `{admission.receipt_sha256}`",
        "Snapshot of the opt-outs": f"`{admission.snapshot}`",
        "Asked": f"for the use `{predicate['question']['use']}`, about {predicate['question']['at']}",
        "Checkpoint of the log": _checkpoint(snapshot["checkpoint"]),
        "Checked again before training": f"against snapshot `{facts.checked}`" if facts.checked else "",
        "Items before the filter": f"{counts['rows']:,}",
        "Kept": f"{counts['kept']:,}",
        "Left out": f"{counts['dropped']:,}{_reasons(counts['reasons'])}",
        "Could not be judged, left out": f"{counts['errors']:,}{_reasons(counts['error_reasons'])}",
        "Owners' terms": "met by whoever filtered (`--keep-terms`)"
        if predicate["settings"]["keep_terms"]
        else "",
        "Different items trained on": f"{facts.history.distinct:,}",
        "Unreadable items passed over": f"{facts.history.skips:,}",
        "Signed by": f"`{facts.signed_by}`"
        if facts.signed_by
        else "nobody: this model has no signed statement",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items() if value)
    check = "`optout verify THIS --trust PUBLIC.PEM` checks every file against the statement and the receipt."
    more = _domains(predicate) + _skipped(facts)
    return f"## Where the data came from\n\n| | |\n|---|---|\n{table}\n\n{check}\n{more}"


def _checkpoint(checkpoint: Mapping[str, Any] | None) -> str:
    if not checkpoint:
        return "none: the snapshot was built from files"
    return ", ".join(f"{name} {value}" for name, value in checkpoint.items())


def _reasons(reasons: Mapping[str, int]) -> str:
    listed = ", ".join(f"{count:,} by {kind}" for kind, count in reasons.items() if count)
    return f" ({listed})" if listed else ""


def _domains(predicate: Mapping[str, Any]) -> str:
    domains = predicate["domains"]
    if not domains["top"]:
        return ""
    rows = "\n".join(f"| {entry['domain']} | {entry['rows']:,} |" for entry in domains["top"][:_DOMAINS])
    total = f"Of {domains['domains']:,} domains, those with most items kept (the receipt names more):"
    return f"\n{total}\n\n| domain | items |\n|---|---:|\n{rows}\n"


def _skipped(facts: CardFacts) -> str:
    if not facts.history.skips:
        return ""
    named = list(facts.history.skipped.items())[:_SKIPPED]
    lines = "\n".join(f"- `{name}`: {why}" for name, why in named)
    return f"\nPassed over as unreadable, the first {len(named)} of {facts.history.skips:,}:\n\n{lines}\n"


def _training(facts: CardFacts) -> str:
    settings = facts.settings
    optimizer = settings.optimizer
    rows: Iterator[tuple[str, object]] = iter(
        (
            ("Steps", f"{settings.run.steps:,}"),
            ("Pictures shown", f"{facts.history.pictures:,}"),
            (
                "Resolution",
                f"{settings.data.resolution} pixels{', aspect buckets' * settings.data.aspect_buckets}",
            ),
            ("Predicts", facts.prediction),
            (
                "AdamW",
                f"rate {optimizer.rate:g}, {optimizer.schedule}, weight decay {optimizer.weight_decay:g}",
            ),
            ("Average of the weights", settings.ema.decay or "none"),
            ("Captions left empty", f"{settings.data.caption_dropout:.0%}"),
            ("Seed", settings.run.seed),
            ("Loss at the end", "" if facts.loss is None else f"{facts.loss:.4f}"),
        )
    )
    table = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"## Training\n\n| | |\n|---|---|\n{table}\n\nEvery setting is in `config.toml`.\n"


def _licence(facts: CardFacts) -> str:
    licence = facts.licence
    link = f" ({licence.link})" if licence.link else ""
    file = "\nIts text lies beside the weights in `LICENSE`.\n" if facts.settings.output.license_file else ""
    says = f"\n{licence.says}\n" if licence.says else ""
    return f"## Licence\n\n{licence.name}{link}\n{file}{says}"
