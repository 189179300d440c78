"""Seconds a step beside diffusers' own example loop, on the same model, pictures and batch; waiting for data.

`python -m benchmarks.training [rounds]` takes a GPU where there is one, and then the architecture of Stable
Diffusion 1 at 512 pixels in bf16, with random weights; else a small one on the CPU. Both loops are held in
memory and take turns, a few steps each, so that a busy machine is busy for both.
"""

import copy
import gc
import io
import itertools
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from trainer.libraries import hush
from trainer.models.parts import Parts, Trainee

# isort: split
# After the trainer has seen to torchvision.
from accelerate import Accelerator
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from benchmarks.training_example import ExampleRun, run_example
from optout.filter.atomic import sha256_of
from trainer.data.files import CoveredFiles
from trainer.data.history import History
from trainer.data.loader import Loader
from trainer.data.shards import find_shards
from trainer.data.stream import Stream
from trainer.display import Line
from trainer.loop import Loop
from trainer.settings import settings_from

#: Aims: a step against the example's, and the share of it that waits for data.
MOST_SLOWER, MOST_WAITING = 1.03, 0.02
TOKENS, WORDS = 77, 49_408
RATE, DECAY = 1e-5, 0.9999


@dataclass(frozen=True)
class Size:
    """What is trained."""

    name: str
    unet: dict[str, Any]
    vae: dict[str, Any]
    text: dict[str, Any]
    resolution: int
    pictures: int
    batch: int
    precision: str
    workers: int
    turn: int


_VAE = {"latent_channels": 4, "down_block_types": ["DownEncoderBlock2D"] * 4}
_VAE |= {"up_block_types": ["UpDecoderBlock2D"] * 4}
GPU = Size(
    name="Stable Diffusion 1, 512 pixels, bf16",
    unet={"sample_size": 64, "cross_attention_dim": 768},
    vae={**_VAE, "block_out_channels": [128, 256, 512, 512], "layers_per_block": 2},
    text={"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12},
    resolution=512,
    pictures=256,
    batch=16,
    precision="bf16",
    workers=8,
    turn=10,
)
CPU = Size(
    name="a small UNet, 64 pixels, single precision",
    unet={
        "sample_size": 16,
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "cross_attention_dim": 64,
        "attention_head_dim": 4,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    },
    vae={
        "latent_channels": 4,
        "down_block_types": ["DownEncoderBlock2D"] * 3,
        "up_block_types": ["UpDecoderBlock2D"] * 3,
        "block_out_channels": [8, 16, 16],
        "norm_num_groups": 8,
    },
    text={"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4},
    resolution=64,
    pictures=128,
    batch=16,
    precision="no",
    workers=0,
    turn=4,
)


def main(arguments: list[str]) -> int:
    """Measure and print; 1 where an aim is missed."""
    hush()
    on_gpu = torch.cuda.is_available()
    size = GPU if on_gpu else CPU
    if not on_gpu:
        torch.set_num_threads(1)
    rounds = int(arguments[0]) if arguments else 5
    device = torch.cuda.get_device_name() if on_gpu else "CPU, one thread"
    print(f"{size.name}, batches of {size.batch}, {device}, torch {torch.__version__}\n", flush=True)
    with tempfile.TemporaryDirectory() as home:
        write_pictures(Path(home), size)
        measured = None
        while measured is None:
            try:
                measured = measure(size, Path(home), rounds)
            except torch.OutOfMemoryError:
                print(f"two loops with batches of {size.batch} do not fit: half of that", flush=True)
                size = replace(size, batch=size.batch // 2)
            gc.collect()
            torch.cuda.empty_cache()
    return 0 if show(size, measured) else 1


def write_pictures(home: Path, size: Size) -> None:
    """The same pictures and captions as files and as a tar."""
    random = np.random.default_rng(0)
    side = size.resolution * 5 // 4
    (home / "files").mkdir()
    (home / "tars").mkdir()
    with tarfile.open(home / "tars" / "00000.tar", "w") as archive:
        for number in range(size.pictures):
            rough = random.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(rough).resize((side, side), Image.Resampling.BICUBIC).save(buffer, "JPEG")
            for suffix, content in (("jpg", buffer.getvalue()), ("txt", f"picture number {number}".encode())):
                (home / "files" / f"{number:05d}.{suffix}").write_bytes(content)
                entry = tarfile.TarInfo(f"{number:05d}.{suffix}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))


def tokenize(captions: list[str]) -> torch.Tensor:
    """Ids without a vocabulary: both loops take the same."""
    rows = [[hash(word) % WORDS for word in caption.split()][:TOKENS] for caption in captions]
    return torch.tensor([row + [WORDS - 1] * (TOKENS - len(row)) for row in rows])


@dataclass
class Contender:
    """A loop that does some steps when told to, and what was measured of it."""

    go: Callable[[int], float]
    seconds: list[float]
    waiting: list[float]
    peak: float = 0.0

    def turn(self, steps: int) -> None:
        _wait_for_device()
        began = time.perf_counter()
        waited = self.go(steps)
        _wait_for_device()
        self.seconds.append((time.perf_counter() - began) / steps)
        self.waiting.append(waited / steps)

    @property
    def step(self) -> float:
        """Median seconds a step."""
        return statistics.median(self.seconds)

    @property
    def waited(self) -> float:
        """Median seconds of a step that it waits for its batch."""
        return statistics.median(self.waiting)


def _wait_for_device() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure(size: Size, home: Path, rounds: int) -> dict[str, Contender]:
    """Both loops, warmed up, taking turns."""
    torch.manual_seed(0)
    unet = UNet2DConditionModel(**size.unet)
    vae = AutoencoderKL(**size.vae).requires_grad_(False)
    config = CLIPTextConfig(vocab_size=WORDS, max_position_embeddings=TOKENS, **size.text)
    text = CLIPTextModel(config).requires_grad_(False)
    made: dict[str, Contender] = {}
    with ours(size, home, *(copy.deepcopy(part) for part in (unet, vae, text))) as go:
        _warm(made, "ours", go, size)
        _warm(made, "example", example(size, home, unet, vae, text), size)
        for _ in range(rounds):
            for contender in made.values():
                contender.turn(size.turn)
    return made


def _warm(made: dict[str, Contender], name: str, go: Callable[[int], float], size: Size) -> None:
    """The first steps, which take memory and compile; and what memory the loop took beyond what there was."""
    before = torch.cuda.memory_allocated() if torch.cuda.is_available() else 0
    go(3)
    made[name] = Contender(go, [], [])
    if torch.cuda.is_available():
        made[name].peak = (torch.cuda.max_memory_allocated() - before) / 2**30
        torch.cuda.reset_peak_memory_stats()


class Lines:
    """A display that adds up the waiting."""

    def __init__(self) -> None:
        self.waited = 0.0

    def line(self, line: Line) -> None:
        self.waited += line.waited

    def picture(self, step: int, grid: Image.Image) -> None:
        """None is drawn here."""

    def say(self, text: str) -> None:
        print(text)


@contextmanager
def ours(size: Size, home: Path, unet: Any, vae: Any, text: Any) -> Iterator[Callable[[int], float]]:
    """The trainer's loop: do some steps, and say how many seconds they waited for data."""
    settings = settings_from(
        {
            "data": {"resolution": size.resolution, "caption_dropout": 0.0, "workers": max(1, size.workers)},
            "optimizer": {"batch": size.batch, "rate": RATE, "schedule": "constant", "beta2": 0.999},
            "objective": {"min_snr": 0.0},
            "ema": {"decay": DECAY},
            "run": {"precision": size.precision, "log_every": 10},
        }
    )
    parts = Parts(Trainee(unet, text, train_text=False), None, vae, scheduler(), lambda: None, "epsilon")
    digests = {"00000.tar": sha256_of(home / "tars" / "00000.tar")}
    shards = find_shards(CoveredFiles(home / "tars", digests))
    loop = Loop(parts, settings, Accelerator(mixed_precision=size.precision), History(["00000.tar"]))
    stream = Stream(shards, settings.data, batch=size.batch, seed=0)
    loader = Loader(stream, tokenize, ahead=settings.data.ahead, pin=torch.cuda.is_available())
    with loader.running(loop.place):

        def go(steps: int) -> float:
            lines = Lines()
            loop.settings = replace(settings, run=replace(settings.run, steps=loop.done + steps))
            loop.run(loader, lines, lambda _: None)
            return lines.waited

        yield go


def example(size: Size, home: Path, unet: Any, vae: Any, text: Any) -> Callable[[int], float]:
    """The example's loop, likewise."""
    run = ExampleRun(
        unet,
        text,
        vae,
        scheduler(),
        tokenize,
        home / "files",
        size.resolution,
        size.batch,
        size.workers,
        RATE,
        DECAY,
    )
    steps = run_example(run, Accelerator(mixed_precision=size.precision))
    return lambda count: sum(itertools.islice(steps, count))


def scheduler() -> Any:
    """The noise schedule of Stable Diffusion 1."""
    return DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")


def show(size: Size, made: dict[str, Contender]) -> bool:
    """Print the figures; whether both aims are met."""
    print(f"{'':<10}{'s a step':>10}{'pictures/s':>12}{'waiting for data':>18}{'peak GiB':>10}")
    for name, one in made.items():
        step = one.step
        memory = f"{one.peak:>10.1f}" if one.peak else f"{'':>10}"
        print(f"{name:<10}{step:>10.4f}{size.batch / step:>12.1f}{one.waited / step:>18.2%}{memory}")
    mine, theirs = made["ours"], made["example"]
    rounds = zip(mine.seconds, theirs.seconds, strict=True)
    ratio = statistics.median(one / other for one, other in rounds)
    share = mine.waited / mine.step
    fast, fed = ratio <= MOST_SLOWER, share <= MOST_WAITING
    print(f"\na step takes {ratio:.3f} times the example's (aim: at most {MOST_SLOWER}) {_mark(fast)}")
    print(f"waiting for data takes {share:.2%} of it (aim: at most {MOST_WAITING:.0%}) {_mark(fed)}")
    return fast and fed


def _mark(holds: bool) -> str:
    return "holds" if holds else "FALLS SHORT"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
