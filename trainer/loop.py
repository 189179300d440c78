"""The loop: step after step, with everything random a function of the seed and the step."""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator

from optout.errors import OptoutError
from trainer.average import Average
from trainer.checkpoints import Checkpoint
from trainer.data.history import History
from trainer.data.loader import Loader, TensorBatch
from trainer.data.stream import Place
from trainer.display import Display, Line
from trainer.models.parts import Parts
from trainer.objective import add_noise, weighted_loss
from trainer.settings import Optimizer, Settings

__all__ = ["Loop", "NotANumber", "rate_at"]

_NAMED = 8


class NotANumber(OptoutError):
    """The loss is not a number any more."""


@dataclass
class _Step:
    """A step whose loss was not looked at yet: a GPU is not waited for at every one."""

    number: int
    losses: list[torch.Tensor]
    names: list[str]
    rate: float
    seconds: float
    waited: float


def rate_at(step: int, steps: int, settings: Optimizer) -> float:
    """The learning rate of step number `step` (from 0) of `steps`."""
    warm = min(1.0, (step + 1) / (settings.warmup + 1))
    begin = settings.hold * steps
    gone = min(1.0, max(0.0, (step - begin) / max(1.0, steps - begin)))
    falls = {"constant": 1.0, "linear": 1 - gone, "cosine": 0.5 * (1 + math.cos(math.pi * gone))}
    return settings.rate * warm * falls[settings.schedule]


def _seed_of(seed: int, step: int, rank: int) -> int:
    digest = hashlib.sha256(f"{seed}/{step}/{rank}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


class Loop:
    """A model in training.

    Args:
        parts: the model.
        settings: of the run.
        accelerator: devices and precision.
        history: what was seen so far; the loop adds to it.

    Attributes:
        done: steps done.
        place: where in the data the next step begins.
        average: the moving average of the weights.
    """

    def __init__(self, parts: Parts, settings: Settings, accelerator: Accelerator, history: History) -> None:
        self.parts, self.settings, self.history = parts, settings, history
        self._accelerator = accelerator
        if accelerator.mixed_precision == "bf16":
            # Not in fp16, in which autoencoders overflow.
            parts.lower(torch.bfloat16)
        parts.to(accelerator.device)
        if settings.run.gradient_checkpointing:
            parts.trainee.denoiser.enable_gradient_checkpointing()
        self._parameters = dict(parts.trainee.trained())
        optimizer = torch.optim.AdamW(
            self._parameters.values(),
            lr=settings.optimizer.rate,
            betas=(settings.optimizer.beta1, settings.optimizer.beta2),
            weight_decay=settings.optimizer.weight_decay,
            fused=True,
        )
        self._model, self._optimizer = accelerator.prepare(parts.trainee, optimizer)
        self.average = Average(list(self._parameters.values()), settings.ema.decay)
        self.done = 0
        self.place = Place()
        self._unseen: list[_Step] = []

    def run(self, loader: Loader, display: Display, after_step: Callable[[int], None]) -> None:
        """Train to the last step; `after_step` is called with the number of steps done.

        Raises:
            NotANumber: the loss became infinite or no number; the message names step and batch.
        """
        self._model.train()
        while self.done < self.settings.run.steps:
            self._unseen.append(self._step(loader))
            self.done += 1
            at_once = self._accelerator.device.type == "cpu"
            if (
                at_once
                or self.done % self.settings.run.log_every == 0
                or self.done == self.settings.run.steps
            ):
                self.settle(display)
            after_step(self.done)

    def _step(self, loader: Loader) -> _Step:
        began, waited = time.perf_counter(), loader.waited
        torch.manual_seed(_seed_of(self.settings.run.seed, self.done, self._accelerator.process_index))
        rate = rate_at(self.done, self.settings.run.steps, self.settings.optimizer)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        losses, names = [], []
        for _ in range(self.settings.optimizer.accumulate):
            batch = next(loader)
            names += [sample.name for sample in batch.source.samples]
            losses.append(self._pass(batch, names))
            self.history.add(batch.source)
            self.place = batch.source.place
        self.average.update(self.done)
        seconds = time.perf_counter() - began
        return _Step(self.done + 1, losses, names, rate, seconds, loader.waited - waited)

    def _pass(self, batch: TensorBatch, names: list[str]) -> torch.Tensor:
        """Forward and backward for one batch; the optimiser steps when enough are accumulated."""
        accelerator, settings = self._accelerator, self.settings
        pixels = batch.pixels.to(accelerator.device, torch.float32, non_blocking=True).div_(127.5).sub_(1)
        ids = batch.ids.to(accelerator.device, non_blocking=True)
        with accelerator.accumulate(self._model):
            latents = self.parts.to_latents(pixels)
            noised = add_noise(latents, self.parts.prediction, self.parts.scheduler, settings.objective)
            loss = weighted_loss(self._model(noised.noisy, noised.timesteps, ids), noised)
            if accelerator.device.type == "cpu" and not math.isfinite(loss.item()):
                # Before it reaches the weights, where looking costs nothing.
                raise self._not_a_number(self.done + 1, names)
            accelerator.backward(loss)
            if accelerator.sync_gradients and settings.optimizer.clip:
                accelerator.clip_grad_norm_(self._parameters.values(), settings.optimizer.clip)
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def settle(self, display: Display) -> None:
        """Look at the losses since the last time and hand them on."""
        for step in self._unseen:
            loss = self._accelerator.reduce(torch.stack(step.losses).mean(), "mean").item()
            if not math.isfinite(loss):
                raise self._not_a_number(step.number, step.names)
            display.line(Line(step.number, loss, step.rate, step.seconds, step.waited))
        self._unseen = []

    def _not_a_number(self, step: int, names: list[str]) -> NotANumber:
        shown = ", ".join(names[:_NAMED]) + (
            f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        )
        return NotANumber(
            f"the loss is not a number at step {step}, in the batch of {shown}; lower optimizer.rate, or "
            "look at these samples; the last checkpoint stays",
            code="nan_loss",
        )

    def checkpoint(self) -> Checkpoint:
        """Everything to go on from here."""
        weights = {f"weight/{name}": value.detach().cpu() for name, value in self._parameters.items()}
        names = list(self._parameters)
        averages = {f"average/{names[i]}": value.cpu() for i, value in enumerate(self.average.values)}
        scaler = self._accelerator.scaler
        optimizer = {
            "optimizer": self._optimizer.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else None,
        }
        state = {"place": self.place.as_json(), "history": self.history.as_json()}
        return Checkpoint(self.done, {**weights, **averages}, optimizer, state)

    @torch.no_grad()
    def restore(self, checkpoint: Checkpoint, mine: Any) -> None:
        """Go on from a checkpoint; `mine` is this process's part of its state."""
        for index, (name, parameter) in enumerate(self._parameters.items()):
            parameter.copy_(checkpoint.weights[f"weight/{name}"])
            if self.average.values:
                self.average.values[index].copy_(checkpoint.weights[f"average/{name}"])
        self._optimizer.load_state_dict(checkpoint.optimizer["optimizer"])
        if self._accelerator.scaler is not None and checkpoint.optimizer["scaler"]:
            self._accelerator.scaler.load_state_dict(checkpoint.optimizer["scaler"])
        self.place = Place.from_json(mine["place"])
        self.history.restore(mine["history"])
        self.done = checkpoint.step
