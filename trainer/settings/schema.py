"""What a run can be told. One frozen dataclass a table of the TOML file; the comments become its comments.

Every field is declared by `setting`, so that the file that `trainer init` writes can never say something
else than what is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "Data",
    "Ema",
    "Lora",
    "Model",
    "Objective",
    "Optimizer",
    "Output",
    "Run",
    "Settings",
    "Validation",
]


def setting(default: Any, says: str, **bounds: float) -> Any:
    """A field with its comment and, for numbers, the bounds `least` and `most`."""
    metadata: Mapping[str, Any] = {"says": says, **bounds}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Data:
    """How pictures and captions are read."""

    resolution: int = setting(
        32, "pixels a side of the trained pictures; Stable Diffusion 1: 512", least=8, most=4096
    )
    aspect_buckets: bool = setting(
        False, "keep aspect ratios: batches of like-shaped pictures, equal in area"
    )
    bucket_step: int = setting(
        8, "sides of the buckets are multiples of this (64 for Stable Diffusion)", least=8
    )
    flip: bool = setting(False, "mirror half of the pictures, drawn anew each time")
    caption_dropout: float = setting(
        0.1, "share of captions left empty: what classifier-free guidance needs", least=0, most=1
    )
    window: int = setting(8, "shards that are shuffled together", least=1)
    workers: int = setting(1, "threads that decode pictures", least=1)
    ahead: int = setting(4, "batches made ready ahead of the step", least=1)
    max_pixels: int = setting(100_000_000, "a larger picture is skipped before it is decoded", least=1)


@dataclass(frozen=True)
class Model:
    """What is trained: from scratch, or from a checkpoint."""

    kind: Literal["unet", "dit", "checkpoint"] = setting(
        "unet", "unet, dit: from scratch. checkpoint: a local Stable Diffusion in diffusers layout"
    )
    base: str = setting("", "directory of the checkpoint")
    vae: str = setting("", "directory of an autoencoder, to work in its latents; empty works on pixels")
    channels: tuple[int, ...] = setting((16, 48, 96), "unet: channels of each level, finest first")
    plain_levels: int = setting(
        1, "unet: finest levels without attention, whose cost is the square of the pixels", least=0
    )
    layers: int = setting(1, "unet: residual blocks a level; dit: blocks", least=1)
    heads: int = setting(4, "unet: heads of attention, of each level; dit: heads", least=1)
    width: int = setting(128, "dit: channels", least=8)
    patch: int = setting(4, "dit: pixels a side of a patch", least=1)
    text_width: int = setting(64, "from scratch: channels of the CLIP text encoder", least=8)
    text_layers: int = setting(2, "from scratch: its layers", least=1)
    text_tokens: int = setting(
        32, "from scratch: longest caption in tokens; the rest is cut off", least=4, most=77
    )
    vocabulary: int = setting(
        1024, "from scratch: size of the vocabulary learned from the captions", least=300
    )
    text_encoder: str = setting(
        "", "directory with text_encoder/ and tokenizer/ to take instead, kept frozen"
    )
    train_text: bool = setting(
        True, "from scratch: train the text encoder along; a checkpoint's stays frozen"
    )


@dataclass(frozen=True)
class Lora:
    """Low-rank adaptation of a checkpoint instead of full fine-tuning."""

    rank: int = setting(0, "rank of the update; 0 trains all weights", least=0)
    alpha: float = setting(0.0, "the update is scaled by alpha / rank; 0 takes the rank", least=0)
    dropout: float = setting(0.0, "dropout in front of the update", least=0, most=1)
    targets: tuple[str, ...] = setting(("to_k", "to_q", "to_v", "to_out.0"), "layers that get an update")


@dataclass(frozen=True)
class Objective:
    """What the model learns to predict, and what counts how much."""

    prediction: Literal["auto", "epsilon", "v", "sample", "flow"] = setting(
        "auto",
        "epsilon, v, sample or flow; auto: epsilon (dit: flow), or what the checkpoint was trained for",
    )
    schedule: Literal["linear", "scaled_linear", "squaredcos_cap_v2"] = setting(
        "squaredcos_cap_v2", "noise schedule (not for flow)"
    )
    min_snr: float = setting(
        5.0, "gamma of the min-SNR weighting; 0 weighs every step alike (not for flow)", least=0
    )
    shift: float = setting(1.0, "flow: above 1 spends more time on noise, for large pictures", least=0.01)


@dataclass(frozen=True)
class Optimizer:
    """AdamW and its rate."""

    rate: float = setting(
        1e-3, "learning rate; of a checkpoint about 1e-4 for a LoRA, 1e-5 for all of it", least=0
    )
    schedule: Literal["constant", "cosine", "linear"] = setting(
        "cosine", "how the rate falls towards the last step"
    )
    warmup: int = setting(20, "steps until the full rate", least=0)
    hold: float = setting(0.0, "share of the run before the rate begins to fall", least=0, most=1)
    beta1: float = setting(0.9, "AdamW: how long the gradient is remembered", least=0, most=1)
    beta2: float = setting(0.99, "AdamW: how long its square is remembered", least=0, most=1)
    weight_decay: float = setting(0.01, "AdamW: pull of the weights towards zero", least=0)
    clip: float = setting(1.0, "largest norm of the gradient; 0 leaves it", least=0)
    batch: int = setting(16, "pictures a device and pass", least=1)
    accumulate: int = setting(1, "passes a step", least=1)


@dataclass(frozen=True)
class Ema:
    """A moving average of the weights, which is what is written out."""

    decay: float = setting(0.99, "0 writes out the weights themselves", least=0, most=1)


@dataclass(frozen=True)
class Run:
    """Length, precision, seeds, checkpoints."""

    steps: int = setting(1000, "optimiser steps in all", least=1)
    seed: int = setting(0, "the same seed on the same machine gives the same weights", least=0)
    precision: Literal["no", "bf16", "fp16"] = setting("no", "mixed precision")
    gradient_checkpointing: bool = setting(False, "less memory for more time")
    threads: int = setting(0, "threads of torch on a CPU; 0 takes one a free core")
    save_every: int = setting(500, "steps between checkpoints; 0 saves at the end only", least=0)
    keep: int = setting(2, "checkpoints that stay", least=1)
    log_every: int = setting(10, "steps between lines of the log", least=1)


@dataclass(frozen=True)
class Validation:
    """Pictures drawn while training."""

    prompts: tuple[str, ...] = setting((), "what is drawn; a grid of them goes to samples/ and TensorBoard")
    every: int = setting(500, "steps between grids; 0 draws at the end only", least=0)
    steps: int = setting(20, "denoising steps", least=1)
    guidance: float = setting(3.0, "classifier-free guidance; 1 turns it off", least=1)
    seed: int = setting(0, "of the noise", least=0)


@dataclass(frozen=True)
class Output:
    """What is said about the model."""

    name: str = setting("", "title of the model card; the directory's name if empty")
    license: str = setting(
        "", "identifier; empty: the checkpoint's own, or creativeml-openrail-m where it names none"
    )
    license_file: str = setting("", "file with the licence's text, copied beside the weights")


@dataclass(frozen=True)
class Settings:
    """A whole run."""

    data: Data = Data()
    model: Model = Model()
    lora: Lora = Lora()
    objective: Objective = Objective()
    optimizer: Optimizer = Optimizer()
    ema: Ema = Ema()
    run: Run = Run()
    validation: Validation = Validation()
    output: Output = Output()
