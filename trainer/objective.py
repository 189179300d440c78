"""The objective: how noise is added, what is to be predicted, and what an error at each noise level costs."""

from typing import Any, NamedTuple

import torch

from trainer.settings.schema import Objective

__all__ = ["Noised", "add_noise", "weighted_loss"]

_TIMES = 1000
# With a schedule that ends in pure noise min-SNR would leave its last step, where sampling begins, untrained.
_LEAST_WEIGHT = 0.1


class Noised(NamedTuple):
    """What the model gets and owes.

    Attributes:
        noisy: float[batch, …], the picture with noise.
        timesteps: [batch], as the model is told them.
        target: float[batch, …], what it should predict.
        weight: float[batch], what an error costs.
    """

    noisy: torch.Tensor
    timesteps: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor


def add_noise(latents: torch.Tensor, prediction: str, scheduler: Any, settings: Objective) -> Noised:
    """Draw a noise level for each picture of a batch, and add the noise.

    Args:
        latents: float[batch, channels, height, width].
        prediction: `epsilon`, `v`, `sample` or `flow`.
        scheduler: the pipeline's own; its noise schedule is used.
        settings: of the `[objective]` table.
    """
    noise = torch.randn_like(latents)
    if prediction == "flow":
        return _flow(latents, noise, settings.shift)
    times = torch.randint(0, _TIMES, (len(latents),), device=latents.device)
    # Kept there, as the scheduler itself does: a copy would wait for the device at every step.
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.to(latents.device)
    signal = scheduler.alphas_cumprod[times].view(-1, 1, 1, 1)
    noisy = signal.sqrt() * latents + (1 - signal).sqrt() * noise
    targets = {
        "epsilon": lambda: noise,
        "sample": lambda: latents,
        "v": lambda: signal.sqrt() * noise - (1 - signal).sqrt() * latents,
    }
    return Noised(
        noisy, times, targets[prediction](), _weight(signal.flatten(), prediction, settings.min_snr)
    )


def _flow(latents: torch.Tensor, noise: torch.Tensor, shift: float) -> Noised:
    """Straight paths from picture to noise; levels by the logit-normal law of Stable Diffusion 3."""
    sigma = torch.sigmoid(torch.randn(len(latents), device=latents.device))
    sigma = shift * sigma / (1 + (shift - 1) * sigma)
    wide = sigma.view(-1, 1, 1, 1)
    noisy = (1 - wide) * latents + wide * noise
    return Noised(noisy, sigma * _TIMES, noise - latents, torch.ones_like(sigma))


def _weight(signal: torch.Tensor, prediction: str, gamma: float) -> torch.Tensor:
    """Min-SNR (Hang et al. 2023): errors count as for predicting the picture, up to a ratio of `gamma`."""
    if not gamma:
        return torch.ones_like(signal)
    ratio = (signal / (1 - signal).clamp(min=1e-8)).clamp(min=1e-8)
    capped = ratio.clamp(max=gamma)
    if prediction == "epsilon":
        return capped / ratio
    return (capped if prediction == "sample" else capped / (ratio + 1)).clamp(min=_LEAST_WEIGHT)


def weighted_loss(predicted: torch.Tensor, noised: Noised) -> torch.Tensor:
    """Mean squared error in single precision, weighted by noise level: a scalar."""
    errors = (predicted.float() - noised.target.float()).square().flatten(1).mean(1)
    return (noised.weight * errors).mean()
