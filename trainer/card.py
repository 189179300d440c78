"""The model card: what the model is, how it is used, and where what it learned from came from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optout.dsse import read_envelope
from optout.receipt import PAYLOAD_TYPE, statement_in
from optout.words import Grade
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
    lines += [f"base_model: {_quoted(_name_of(facts.base))}"] if facts.base else []
    lines += ["library_name: diffusers", "pipeline_tag: text-to-image", "tags:"]
    lines += ["- diffusers", "- text-to-image", *(["- lora"] if lora else [])]
    # Nobody here knows what the weights that were begun with had been trained on.
    lines += [] if _others(facts) else ["- opt-out-respected"]
    return "\n".join([*lines, "---\n"])


def _name_of(folder: str) -> str:
    """What a model on this machine is called elsewhere, where its path says nothing."""
    return Path(folder).resolve().name


def _others(facts: CardFacts) -> Sequence[str]:
    """Weights that were there before."""
    model = facts.settings.model
    parts = (("", facts.base), ("the autoencoder ", model.vae), ("the text encoder of ", model.text_encoder))
    return [f"{part}{_name_of(folder)}" for part, folder in parts if folder]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _intro(facts: CardFacts) -> str:
    what = {"unet": "A UNet", "dit": "A diffusion transformer", "checkpoint": "A Stable Diffusion"}
    how = "trained from scratch" if facts.base is None else f"made from {_name_of(facts.base)}"
    update = " (a low-rank update, LoRA)" if facts.settings.lora.rank else ""
    others = " and ".join(_others(facts))
    before = f" The receipt says nothing of what {others} had been trained on before." if others else ""
    return (
        f"{what[facts.settings.model.kind]} for text to image{update}, {how}. This training saw only what "
        "its receipt covers: data from which everything whose owners opted out had been left out."
        f"{before}\n"
    )


def _use(facts: CardFacts) -> str:
    prompt = next(iter(facts.settings.validation.prompts), "a picture")
    quoted = _quoted(prompt)
    if facts.base is not None and facts.settings.lora.rank:
        lines = [
            "from diffusers import DiffusionPipeline",
            f"pipeline = DiffusionPipeline.from_pretrained({_quoted(f'path/to/{_name_of(facts.base)}')})",
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
    snapshot, counts, question = predicate["snapshot"], predicate["counts"], predicate["question"]
    rows = {
        "Receipt": f"`receipt.json`, SHA-256 `{admission.receipt_sha256}`",
        "Snapshot of the opt-outs": f"`{admission.snapshot}`",
        "Asked": f"for the use `{question['use']}`, about {question['at']}",
        **_heeded(question),
        "Checkpoint of the log": _checkpoint(snapshot["checkpoint"]),
        "Checked again before training": f"against snapshot `{facts.checked}`" if facts.checked else "",
        "Items before the filter": f"{counts['rows']:,}",
        "Kept": f"{counts['kept']:,}",
        "Left out": f"{counts['dropped']:,}{_reasons(counts['reasons'])}",
        "Could not be judged, left out": f"{counts['errors']:,}{_reasons(counts['error_reasons'])}",
        "Not compared, as the data held nothing to compare": _unasked(counts),
        **_filtered_before(predicate),
        "Owners' terms": "met by whoever filtered (`--keep-terms`)"
        if predicate["settings"]["keep_terms"]
        else "",
        "Different items trained on": f"{facts.history.distinct:,}",
        "Unreadable items passed over": f"{facts.history.skips:,}",
        "Among what was shown": ", ".join(f"{n:,} {note}" for note, n in sorted(facts.history.notes.items())),
        "Signed by": f"`{facts.signed_by}`"
        if facts.signed_by
        else "nobody: this model has no signed statement",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items() if value)
    check = "`optout verify THIS --trust PUBLIC.PEM` checks every file against the statement and the receipt."
    more = _domains(predicate) + _skipped(facts)
    return f"## Where the data came from\n\n| | |\n|---|---|\n{table}\n\n{check}\n{more}"


def _heeded(question: Mapping[str, Any]) -> dict[str, str]:
    """Which claims counted, where not all of them did, and whose own works these are."""
    names = {"flag": "told of, not left out", "remove": "left out", "ignore": "not asked about"}
    grade = Grade(question["min_grade"])
    owner = question.get("owner")
    return {
        "Captions with claimed names": names[question["names"]],
        "Likeness that counted": f"`{question.get('evidence', 'match')}`, or stronger",
        "Claims that counted": f"of evidence grade {grade.value} ({grade.name.lower()}) or above"
        if grade
        else "",
        "Own works": f"of {owner}, who allows them, by the statement of whoever filtered" if owner else "",
    }


def _filtered_before(predicate: Mapping[str, Any]) -> dict[str, str]:
    """The receipts that this one came after, and theirs."""
    rows: dict[str, str] = {}
    for parent in predicate.get("parents", ()):
        payload = read_envelope(parent["receipt"].encode(), PAYLOAD_TYPE).payload
        earlier = statement_in(payload)["predicate"]
        counts = earlier["counts"]
        rows[f"Filtered before, receipt `{parent['sha256'][:16]}`"] = (
            f"{counts['rows']:,} items, {counts['kept']:,} kept, {counts['dropped']:,} left out"
            f"{_reasons(counts['reasons'])}, by snapshot `{earlier['snapshot']['digest'][:16]}`"
        )
        rows |= _filtered_before(earlier)
    return rows


def _checkpoint(checkpoint: Mapping[str, Any] | None) -> str:
    if not checkpoint:
        return "none: the snapshot was built from files"
    return ", ".join(f"{name} {value}" for name, value in checkpoint.items())


def _reasons(reasons: Mapping[str, int]) -> str:
    listed = ", ".join(f"{count:,} by {kind}" for kind, count in reasons.items() if count)
    return f" ({listed})" if listed else ""


def _unasked(counts: Mapping[str, Any]) -> str:
    """Items that claims of some kinds were not compared with; receipts of before say nothing of it."""
    listed = (f"{count:,} with claims by {kind}" for kind, count in counts.get("unasked", {}).items())
    return ", ".join(listed)


def _domains(predicate: Mapping[str, Any]) -> str:
    domains = predicate["domains"]
    if not domains["top"]:
        return ""
    rows = "\n".join(f"| {entry['domain']} | {entry['rows']:,} |" for entry in domains["top"][:_DOMAINS])
    more = " (the receipt names more)" if len(domains["top"]) > _DOMAINS else ""
    total = f"Of {domains['domains']:,} domains, those with most items kept{more}:"
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
