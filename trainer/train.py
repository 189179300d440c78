"""A run from end to end: input, model, loop, output."""

import itertools
import json
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import gather_object

from optout.errors import BadInput, UsageError
from optout.keys import PrivateKey
from trainer import libraries
from trainer.card import CardFacts
from trainer.checkpoints import Checkpoint, latest_checkpoint, save_checkpoint
from trainer.data.files import CoveredFiles
from trainer.data.history import History
from trainer.data.loader import Loader
from trainer.data.shards import BadSample, Shard, find_shards
from trainer.data.stream import Stream
from trainer.disk import naming_full_disk
from trainer.display import LOG_NAME, Display, display
from trainer.gate import Admission
from trainer.licences import licence_of
from trainer.loop import Loop
from trainer.models.checkpoint import from_checkpoint
from trainer.models.parts import Parts
from trainer.models.scratch import from_scratch
from trainer.models.text import Tokenizing
from trainer.output import Written, write_model
from trainer.runs import RunFolder, open_run, run_folder_of
from trainer.settings import Settings
from trainer.validation import draw_grid

__all__ = ["Result", "train"]

# So many captions teach the vocabulary.
_CAPTIONS = 20_000
_LAST_LOSSES = 50


@dataclass(frozen=True)
class Result:
    """What a run came to.

    Attributes:
        written: the model; None in processes that are not the first.
        steps: optimiser steps done.
        resumed: the step it went on from; 0 from the beginning.
        loss: mean of the last steps.
        history: what was trained on.
        waited: share of the time that was spent waiting for data.
    """

    written: Written | None
    steps: int
    resumed: int
    loss: float | None
    history: History
    waited: float


def train(
    settings: Settings,
    admission: Admission,
    out: Path,
    *,
    key: PrivateKey | None = None,
    overwrite: bool = False,
    checked: str | None = None,
) -> Result:
    """Train on admitted data and write the model; a run that was stopped goes on.

    Args:
        settings: of the run.
        admission: what the gate let pass.
        out: directory of the model; checkpoints and log go to `out.run` beside it.
        key: signs the model's statement.
        overwrite: begin anew, whatever is there.
        checked: digest of a newer snapshot that the data was checked against as well.

    Raises:
        OptoutError: with a sentence that says what was the matter.
    """
    libraries.hush()
    with naming_full_disk(run_folder_of(out)):
        return _train(settings, admission, out, key=key, overwrite=overwrite, checked=checked)


def _train(
    settings: Settings,
    admission: Admission,
    out: Path,
    *,
    key: PrivateKey | None,
    overwrite: bool,
    checked: str | None,
) -> Result:
    threads = libraries.set_threads(settings.run.threads)
    accelerator = _accelerator(settings)
    started = datetime.now(UTC)
    base = Path(settings.model.base) if settings.model.base else None
    licence = licence_of(settings.output.license, settings.output.license_file, base=base)
    with accelerator.main_process_first():
        folder = open_run(
            out,
            settings,
            admission.receipt_sha256,
            threads=threads,
            overwrite=overwrite and accelerator.is_main_process,
        )
    libraries.set_threads(folder.threads)
    shards = find_shards(CoveredFiles(admission.data, admission.files))
    with accelerator.main_process_first():
        # The first one writes the vocabulary that the others read.
        parts = _build(settings, shards, folder)
    history = History(shard.name for shard in shards)
    loop = Loop(parts, settings, accelerator, history)
    resumed, complaints = _resume(loop, folder, accelerator)
    run = settings.run
    shown = accelerator.is_main_process
    with display(folder.path, steps=run.steps, done=resumed, every=run.log_every, shown=shown) as screen:
        for complaint in complaints:
            screen.say(complaint)
        waited = _loop(loop, settings, shards, folder, accelerator, screen)
    everything = _merged(history, gather_object([history.as_json()]), shards)
    loss = _last_loss(folder.path / LOG_NAME)
    facts = CardFacts(
        name=settings.output.name or out.resolve().name,
        settings=settings,
        admission=admission,
        history=everything,
        licence=licence,
        prediction=parts.prediction,
        base=parts.base,
        signed_by=key.key_id if key is not None else None,
        checked=checked,
        loss=loss,
    )
    written = _write(loop, accelerator, out.resolve(), facts, key, started)
    return Result(written, loop.done, resumed, loss, everything, waited)


def _write(
    loop: Loop,
    accelerator: Accelerator,
    out: Path,
    facts: CardFacts,
    key: PrivateKey | None,
    started: datetime,
) -> Written | None:
    """Write the model from the first process, while the others wait."""
    written = None
    if accelerator.is_main_process:
        with loop.average.in_place():
            written = write_model(out, loop.parts, facts, key, started)
    accelerator.wait_for_everyone()
    return written


def _accelerator(settings: Settings) -> Accelerator:
    # A run before this one in the same process may have had another precision.
    AcceleratorState._reset_state()
    # Without this the processes of a launcher do not find each other where there is no GPU.
    cpu = not torch.accelerator.is_available()
    if settings.run.precision == "fp16" and PartialState(cpu=cpu).device.type == "cpu":
        raise UsageError("run.precision = 'fp16' needs a GPU; take 'bf16' or 'no'", code="bad_value")
    return Accelerator(
        cpu=cpu,
        mixed_precision=settings.run.precision,
        gradient_accumulation_steps=settings.optimizer.accumulate,
    )


def _build(settings: Settings, shards: Sequence[Shard], folder: RunFolder) -> Parts:
    if settings.model.kind == "checkpoint":
        return from_checkpoint(settings)
    if folder.tokenizer.exists():
        from transformers import CLIPTokenizer

        return from_scratch(settings, (), CLIPTokenizer.from_pretrained(str(folder.tokenizer)))
    parts = from_scratch(settings, _captions(shards))
    part = folder.tokenizer.with_name(f".{folder.tokenizer.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    parts.tokenizer.save_pretrained(str(part))
    part.rename(folder.tokenizer)
    return parts


def _captions(shards: Sequence[Shard]) -> list[str]:
    """The first captions of the data."""

    def every() -> Any:
        for shard in shards:
            for index in range(len(shard.open())):
                with suppress(BadSample):
                    yield shard.read(index).caption
            shard.close()

    return list(itertools.islice(every(), _CAPTIONS))


def _resume(loop: Loop, folder: RunFolder, accelerator: Accelerator) -> tuple[int, list[str]]:
    """Go on from the newest whole checkpoint; the step it is of, and what was the matter with newer ones."""
    found, complaints = latest_checkpoint(folder.checkpoints)
    if found is not None:
        if len(found.state["processes"]) != accelerator.num_processes:
            raise BadInput(
                f"{folder.checkpoints} is of a run in {len(found.state['processes'])} processes, and this "
                f"one has {accelerator.num_processes}; run it as before, or with --overwrite",
                code="other_world",
            )
        loop.restore(found, found.state["processes"][accelerator.process_index])
    return loop.done, complaints


def _loop(
    loop: Loop,
    settings: Settings,
    shards: Sequence[Shard],
    folder: RunFolder,
    accelerator: Accelerator,
    screen: Display,
) -> float:
    """Train to the end; returns the share of time spent waiting for data."""
    stream = Stream(
        shards,
        settings.data,
        batch=settings.optimizer.batch,
        seed=settings.run.seed,
        rank=accelerator.process_index,
        world=accelerator.num_processes,
    )
    loader = Loader(
        stream,
        Tokenizing(loop.parts.tokenizer),
        ahead=settings.data.ahead,
        pin=accelerator.device.type == "cuda",
    )
    began = time.perf_counter()
    with loader.running(loop.place):
        loop.run(loader, screen, _after_step(loop, settings, folder, accelerator, screen))
    return loader.waited / (time.perf_counter() - began)


def _after_step(
    loop: Loop, settings: Settings, folder: RunFolder, accelerator: Accelerator, screen: Display
) -> Callable[[int], None]:
    """Draws and saves when it is time to, and at the end."""
    run, validation = settings.run, settings.validation

    def due(step: int, every: int) -> bool:
        return step == run.steps or (every > 0 and step % every == 0)

    def after(step: int) -> None:
        if validation.prompts and due(step, validation.every) and accelerator.is_main_process:
            with loop.average.in_place():
                screen.picture(step, draw_grid(loop.parts, validation))
        if due(step, run.save_every):
            loop.settle(screen)
            _save(loop, folder, accelerator, run.keep)

    return after


def _save(loop: Loop, folder: RunFolder, accelerator: Accelerator, keep: int) -> None:
    made = loop.checkpoint()
    processes = gather_object([dict(made.state)])
    if accelerator.is_main_process:
        state = {"processes": processes}
        save_checkpoint(
            folder.checkpoints, Checkpoint(made.step, made.weights, made.optimizer, state), keep=keep
        )
    accelerator.wait_for_everyone()


def _merged(history: History, everybody: Sequence[Any], shards: Sequence[Shard]) -> History:
    if len(everybody) < 2:
        return history
    merged = History(shard.name for shard in shards)
    for one in everybody:
        merged.merge(one)
    return merged


def _last_loss(log: Path) -> float | None:
    lines = log.read_text().splitlines()[-_LAST_LOSSES:] if log.exists() else []
    return sum(json.loads(line)["loss"] for line in lines) / len(lines) if lines else None
