"""The parts of a model: what is trained, what stands beside it, and the pipeline they make together."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from trainer.models.pixels import is_identity

__all__ = ["Parts", "Trainee", "zero_context"]

# What StableDiffusion3Pipeline puts in the place of a third text encoder that is not there.
_ABSENT_T5_TOKENS = 256


class Trainee(nn.Module):
    """The denoiser and its text encoder as one module, so that one wrapper spreads both over several GPUs.

    Args:
        denoiser: a UNet2DConditionModel, or an SD3Transformer2DModel.
        text: a CLIP text encoder.
        train_text: whether gradients flow into it.
    """

    def __init__(self, denoiser: Any, text: Any, *, train_text: bool) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.text = text.requires_grad_(train_text)
        self._train_text = train_text
        self._transformer = type(denoiser).__name__ == "SD3Transformer2DModel"

    def forward(self, noisy: torch.Tensor, timesteps: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """The prediction, shaped as `noisy`.

        Args:
            noisy: float[batch, channels, height, width].
            timesteps: of the noise schedule, [batch].
            ids: int64[batch, tokens].
        """
        with torch.set_grad_enabled(self._train_text and torch.is_grad_enabled()):
            context, pooled = self._encode(ids)
        if self._transformer:
            out = self.denoiser(noisy, context, pooled, timesteps, return_dict=False)[0]
        else:
            out = self.denoiser(noisy, timesteps, context, return_dict=False)[0]
        found: torch.Tensor = out
        return found

    def _encode(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        if not self._transformer:
            return self.text(ids)[0], None
        made = self.text(ids, output_hidden_states=True)
        # The pipeline asks two encoders; both are this one.
        hidden, pooled = made.hidden_states[-2], made.text_embeds
        context = torch.cat([hidden, hidden], -1)
        return torch.cat([context, zero_context(context)], 1), torch.cat([pooled, pooled], -1)

    def lower(self, dtype: torch.dtype) -> None:
        """Read captions with a copy of the text encoder in `dtype`, if it is not trained."""
        if not self._train_text:
            self.text = copy.deepcopy(self.text).to(dtype)

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """What is trained, by name."""
        return ((name, each) for name, each in self.named_parameters() if each.requires_grad)

    def train(self, mode: bool = True) -> "Trainee":
        """As usual, but a frozen text encoder stays as it is used."""
        super().train(mode)
        self.text.train(mode and self._train_text)
        return self


def zero_context(context: torch.Tensor) -> torch.Tensor:
    """The zeros that stand for the absent third text encoder: [batch, 256, channels]."""
    return context.new_zeros(context.shape[0], _ABSENT_T5_TOKENS, context.shape[2])


@dataclass
class Parts:
    """Everything of a model.

    Attributes:
        trainee: what is trained.
        tokenizer: of its text encoder.
        vae: the autoencoder, frozen.
        scheduler: the noise schedule that the pipeline will sample with.
        assemble: makes the pipeline of (denoiser, text encoder).
        prediction: what the denoiser predicts: `epsilon`, `v`, `sample` or `flow`.
        base: what it was made from; None from scratch.
        lora: whether only a low-rank update is trained.
    """

    trainee: Trainee
    tokenizer: Any
    vae: Any
    scheduler: Any
    assemble: Callable[[], Any]
    prediction: str
    base: str | None = None
    lora: bool = False
    _encoder: Any = None

    def lower(self, dtype: torch.dtype) -> None:
        """Let what is frozen work in `dtype` while training, as copies: what is written out stays whole."""
        self._encoder = None if self.on_pixels else copy.deepcopy(self.vae).to(dtype)
        self.trainee.lower(dtype)

    def to(self, device: torch.device) -> None:
        """Put what a step needs on a device."""
        self.trainee.to(device)
        (self._encoder or self.vae).to(device)

    @contextmanager
    def pipeline(self) -> Iterator[Any]:
        """The pipeline of the model as it stands, on its device while the block runs."""
        made = self.assemble()
        made.to(next(self.trainee.denoiser.parameters()).device)
        self.trainee.eval()
        try:
            yield made
        finally:
            self.trainee.train()
            for part, working in ((made.vae, self._encoder), (made.text_encoder, self.trainee.text)):
                if working is not None and part is not working:
                    # A copy does its work; this one only takes room.
                    part.to("cpu")

    @property
    def on_pixels(self) -> bool:
        """Whether latents are the pixels themselves."""
        return is_identity(self.vae)

    @torch.no_grad()
    def to_latents(self, pixels: torch.Tensor) -> torch.Tensor:
        """float[batch, channels, …] latents of float[batch, 3, height, width] pixels in [-1, 1]."""
        if self.on_pixels:
            return pixels
        encoder = self._encoder or self.vae
        found = encoder.encode(pixels.to(encoder.dtype))
        latents = found.latent_dist.sample() if hasattr(found, "latent_dist") else found.latents
        shift = getattr(self.vae.config, "shift_factor", None) or 0.0
        scaled: torch.Tensor = (latents.float() - shift) * self.vae.config.scaling_factor
        return scaled
