"""The parts of a step, against their formulas."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from trainer.average import Average
from trainer.loop import rate_at
from trainer.models.pixels import identity_autoencoder, is_identity
from trainer.objective import Noised, add_noise, weighted_loss
from trainer.settings import Objective, Optimizer


def scheduler(**more: object) -> Any:
    from diffusers import DDIMScheduler

    return DDIMScheduler(beta_schedule="squaredcos_cap_v2", **more)


def noised(prediction: str, **settings: Any) -> tuple[torch.Tensor, Noised]:
    torch.manual_seed(0)
    latents = torch.randn(64, 3, 4, 4)
    return latents, add_noise(latents, prediction, scheduler(), Objective(**settings))


@pytest.mark.parametrize("prediction", ["epsilon", "v", "sample"])
def test_a_perfect_prediction_gives_the_picture_back(prediction: str) -> None:
    """Diffusers' own scheduler, told of our target, recovers the picture that went in."""
    kinds = {"epsilon": "epsilon", "v": "v_prediction", "sample": "sample"}
    latents, made = noised(prediction)
    stepping = scheduler(prediction_type=kinds[prediction], clip_sample=False)
    stepping.set_timesteps(1000)
    for index in range(64):
        if made.timesteps[index] > 900:
            # So little is left of the picture that single precision loses it.
            continue
        step = stepping.step(made.target[index], int(made.timesteps[index]), made.noisy[index])
        assert torch.allclose(step.pred_original_sample, latents[index], atol=1e-3)


def test_flow_goes_straight_from_picture_to_noise() -> None:
    latents, made = noised("flow")
    sigma = (made.timesteps / 1000).view(-1, 1, 1, 1)
    assert torch.allclose(made.noisy - sigma * made.target, latents, atol=1e-5)
    assert (made.weight == 1).all()
    later = noised("flow", shift=3.0)[1]
    assert later.timesteps.mean() > made.timesteps.mean() + 100


@pytest.mark.parametrize("prediction", ["epsilon", "v", "sample"])
def test_min_snr_weighs_as_published(prediction: str) -> None:
    _, made = noised(prediction, min_snr=5.0)
    signal = scheduler().alphas_cumprod[made.timesteps]
    ratio = signal / (1 - signal)
    capped = torch.minimum(ratio, torch.tensor(5.0))
    published = {"epsilon": capped / ratio, "v": capped / (ratio + 1), "sample": capped}[prediction]
    # The published weights but for the noisiest steps, which would not be trained at all.
    assert torch.allclose(
        made.weight, published if prediction == "epsilon" else published.clamp(min=0.1), rtol=1e-4
    )
    assert (noised(prediction, min_snr=0.0)[1].weight == 1).all()


def test_the_loss_is_the_weighted_mean_square() -> None:
    target = torch.zeros(2, 1, 2, 2)
    predicted = torch.stack([torch.full((1, 2, 2), 2.0), torch.full((1, 2, 2), 1.0)])
    made = Noised(target, torch.zeros(2), target, torch.tensor([1.0, 3.0]))
    assert weighted_loss(predicted, made).item() == pytest.approx((4 * 1 + 1 * 3) / 2)


def test_the_average_is_the_exponential_one() -> None:
    parameter = nn.Parameter(torch.zeros(3))
    average = Average([parameter], 0.9)
    expected = torch.zeros(3)
    for step in range(200):
        with torch.no_grad():
            parameter.add_(1)
        average.update(step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * parameter.detach()
    assert torch.allclose(average.values[0], expected)
    with average.in_place():
        assert torch.allclose(parameter, expected)
    assert torch.equal(parameter, torch.full((3,), 200.0))


def test_no_average_is_the_weights_themselves() -> None:
    parameter = nn.Parameter(torch.ones(3))
    average = Average([parameter], 0.0)
    average.update(0)
    with average.in_place():
        assert torch.equal(parameter, torch.ones(3))


def test_the_rate_warms_up_holds_and_falls() -> None:
    settings = Optimizer(rate=1.0, warmup=9, schedule="cosine", hold=0.5)
    rates = [rate_at(step, 100, settings) for step in range(101)]
    assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert rates[10:51] == [1.0] * 41
    assert rates[75] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0.0)
    linear = Optimizer(rate=1.0, warmup=0, schedule="linear")
    assert rate_at(25, 100, linear) == pytest.approx(0.75)
    assert rate_at(99, 100, Optimizer(rate=2.0, warmup=0, schedule="constant")) == 2.0


def test_the_identity_autoencoder_changes_nothing() -> None:
    vae = identity_autoencoder()
    assert is_identity(vae)
    pixels = torch.rand(2, 3, 16, 16) * 2 - 1
    latents = vae.encode(pixels).latents * vae.config.scaling_factor
    assert torch.allclose(latents, pixels, atol=1e-5)
    decoded = vae.decode(pixels / vae.config.scaling_factor).sample
    assert torch.allclose(decoded, pixels, atol=2e-3)
    assert math.isclose(vae.config.scaling_factor, 20.0)
