"""The peer: diffusers' examples/text_to_image/train_text_to_image.py, reduced to what a step does.

The same calls in the same order with its defaults, EMA switched on in its quicker form (`--use_ema
--foreach_ema`). Its data set is `datasets`' folder of pictures; here a plain torch one does the same work.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from PIL import Image
from torch.nn import functional
from torchvision import transforms

__all__ = ["ExampleRun", "run_example"]

#: Captions to token ids.
Tokenize = Callable[[list[str]], torch.Tensor]


class Pictures(torch.utils.data.Dataset[tuple[torch.Tensor, str]]):
    """Pictures in a folder with captions beside them, prepared with the example's transforms."""

    def __init__(self, folder: Path, resolution: int) -> None:
        self.paths = sorted(folder.glob("*.jpg"))
        self.transforms = transforms.Compose(
            [
                transforms.Resize(resolution, interpolation=transforms.InterpolationMode.BILINEAR),
                transforms.CenterCrop(resolution),
                transforms.ToTensor(),
                transforms.Normalize([0.5], [0.5]),
            ]
        )

    def __len__(self) -> int:
        # As in a large data set: the loader's workers are started anew for every pass over it.
        return len(self.paths) * 10_000

    def __getitem__(self, index: int) -> tuple[torch.Tensor, str]:
        path = self.paths[index % len(self.paths)]
        return self.transforms(Image.open(path).convert("RGB")), path.with_suffix(".txt").read_text()


@dataclass
class ExampleRun:
    """What the loop needs; weights of `vae` and `text` are cast as the example casts them."""

    unet: Any
    text: Any
    vae: Any
    scheduler: Any
    tokenize: Tokenize
    folder: Path
    resolution: int
    batch: int
    workers: int
    rate: float
    decay: float


def run_example(run: ExampleRun, accelerator: Accelerator) -> Iterator[float]:
    """Train; yields after each step, with the seconds that the loop waited for its batch."""
    optimizer = torch.optim.AdamW(run.unet.parameters(), lr=run.rate, betas=(0.9, 0.999), weight_decay=1e-2)
    loader = torch.utils.data.DataLoader(
        Pictures(run.folder, run.resolution),
        shuffle=True,
        collate_fn=lambda examples: _collate(examples, run.tokenize),
        batch_size=run.batch,
        num_workers=run.workers,
    )
    rates = get_scheduler("constant", optimizer=optimizer, num_warmup_steps=500, num_training_steps=100_000)
    unet, optimizer, loader, rates = accelerator.prepare(run.unet, optimizer, loader, rates)
    average = EMAModel(unet.parameters(), decay=run.decay, foreach=True)
    average.to(accelerator.device)
    for module in (run.vae, run.text):
        module.to(accelerator.device, dtype=_weight_dtype(accelerator))
    while True:
        began = time.perf_counter()
        for batch in loader:
            waited = time.perf_counter() - began
            _step(run, accelerator, batch, unet, optimizer, rates)
            average.step(unet.parameters())
            yield waited
            began = time.perf_counter()


def _weight_dtype(accelerator: Accelerator) -> torch.dtype:
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(accelerator.mixed_precision, torch.float32)


def _collate(examples: list[tuple[torch.Tensor, str]], tokenize: Tokenize) -> dict[str, torch.Tensor]:
    pixels = torch.stack([pixels for pixels, _ in examples]).to(memory_format=torch.contiguous_format).float()
    return {"pixel_values": pixels, "input_ids": tokenize([caption for _, caption in examples])}


def _step(
    run: ExampleRun, accelerator: Accelerator, batch: Any, unet: Any, optimizer: Any, rates: Any
) -> None:
    with accelerator.accumulate(unet):
        pixels = batch["pixel_values"].to(_weight_dtype(accelerator))
        latents = run.vae.encode(pixels).latent_dist.sample() * run.vae.config.scaling_factor
        noise = torch.randn_like(latents)
        times = torch.randint(0, 1000, (len(latents),), device=latents.device).long()
        noisy = run.scheduler.add_noise(latents, noise, times)
        hidden = run.text(batch["input_ids"])[0]
        predicted = unet(noisy, times, hidden).sample
        loss = functional.mse_loss(predicted.float(), noise.float(), reduction="mean")
        # What the example logs, with a wait for the device in every step.
        accelerator.gather(loss.repeat(run.batch)).mean().item()
        accelerator.backward(loss)
        if accelerator.sync_gradients:
            accelerator.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        rates.step()
        optimizer.zero_grad()
