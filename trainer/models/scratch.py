"""Models with fresh weights: a UNet or a small diffusion transformer, with a small CLIP beside it."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)

from optout.errors import BadInput, UsageError
from trainer.models.parts import Parts, Trainee
from trainer.models.pixels import identity_autoencoder
from trainer.models.text import learn_tokenizer, load_text, make_text_encoder, silent_text_encoder
from trainer.settings import Settings

__all__ = ["from_scratch"]


def from_scratch(settings: Settings, captions: Sequence[str], tokenizer: Any = None) -> Parts:
    """A model with fresh weights.

    Args:
        settings: of the run.
        captions: some captions of the data, to learn a vocabulary from.
        tokenizer: the one of the run that is taken up again; then nothing is learned.

    Raises:
        UsageError: sizes that do not go together (`bad_model`).
        BadInput: the autoencoder or the text encoder named is none (`bad_checkpoint`).
    """
    model = settings.model
    _require_fresh(settings)
    transformer = model.kind == "dit"
    torch.manual_seed(settings.run.seed)
    if model.text_encoder:
        tokenizer, text = load_text(Path(model.text_encoder), projected=transformer)
    else:
        tokenizer = tokenizer or learn_tokenizer(captions, size=model.vocabulary, tokens=model.text_tokens)
        text = make_text_encoder(
            tokenizer, width=model.text_width, layers=model.text_layers, projected=transformer
        )
    vae = _load_autoencoder(Path(model.vae)) if model.vae else identity_autoencoder()
    if transformer and getattr(vae.config, "shift_factor", 0.0) is None:
        # As in those of Stable Diffusion 1 and 2; its pipeline for transformers adds it unasked.
        vae.register_to_config(shift_factor=0.0)
    side = _side(settings, vae)
    denoiser = (_transformer if transformer else _unet)(settings, vae.config.latent_channels, side, text)
    trainee = Trainee(denoiser, text, train_text=model.train_text and not model.text_encoder)
    prediction = settings.objective.prediction
    if prediction == "auto":
        prediction = "flow" if transformer else "epsilon"
    scheduler = _scheduler(settings, prediction, transformer=transformer, clip=not model.vae)

    def assemble() -> Any:
        if transformer:
            return StableDiffusion3Pipeline(
                transformer=denoiser,
                scheduler=scheduler,
                vae=vae,
                text_encoder=text,
                tokenizer=tokenizer,
                text_encoder_2=text,
                tokenizer_2=tokenizer,
                text_encoder_3=silent_text_encoder(tokenizer, width=2 * text.config.hidden_size),
                tokenizer_3=tokenizer,
            )
        return StableDiffusionPipeline(
            vae=vae,
            text_encoder=text,
            tokenizer=tokenizer,
            unet=denoiser,
            scheduler=scheduler,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )

    return Parts(trainee, tokenizer, vae, scheduler, assemble, prediction)


def _require_fresh(settings: Settings) -> None:
    """Raises UsageError where something is asked for that only a checkpoint has."""
    model = settings.model
    if model.base or settings.lora.rank:
        given = "model.base" if model.base else "lora.rank"
        raise UsageError(
            f"{given} is for checkpoints, and model.kind = '{model.kind}' begins with fresh weights; "
            "set model.kind = 'checkpoint'",
            code="bad_model",
        )


def _load_autoencoder(folder: Path) -> Any:
    for kind in (AutoencoderKL, AutoencoderTiny):
        try:
            config = kind.load_config(str(folder), local_files_only=True)
            if config.get("_class_name") == kind.__name__:
                return kind.from_pretrained(str(folder), local_files_only=True).requires_grad_(False)
        except (OSError, ValueError) as error:
            raise BadInput(f"{folder} holds no autoencoder: {error}", code="bad_checkpoint") from None
    raise BadInput(f"{folder} holds neither AutoencoderKL nor AutoencoderTiny", code="bad_checkpoint")


def _side(settings: Settings, vae: Any) -> int:
    """Latent pixels a side."""
    factor: int = 2 ** (len(vae.config.block_out_channels) - 1)
    model, side = settings.model, settings.data.resolution // factor
    step = model.patch if model.kind == "dit" else 2 ** (len(model.channels) - 1)
    # Diffusers' pipelines take sides that are multiples of 8.
    unit = math.lcm(8, factor * step)
    smallest = settings.data.bucket_step if settings.data.aspect_buckets else settings.data.resolution
    for name, value in (("data.resolution", settings.data.resolution), ("data.bucket_step", smallest)):
        if value % unit:
            raise UsageError(
                f"{name} is {value}; with this model it must be a multiple of {unit}", code="bad_model"
            )
    return side


def _unet(settings: Settings, channels: int, side: int, text: Any) -> Any:
    model = settings.model
    levels = len(model.channels)
    if levels < 2 or any(width % 8 or width % model.heads for width in model.channels):
        raise UsageError(
            "model.channels needs two levels or more, each a multiple of 8 and of model.heads",
            code="bad_model",
        )
    if model.plain_levels >= levels:
        raise UsageError(
            f"model.plain_levels is {model.plain_levels}; with {levels} levels at most {levels - 1} can do "
            "without attention, or nothing would hear the caption",
            code="bad_model",
        )
    plain, crossed = model.plain_levels, levels - model.plain_levels
    return UNet2DConditionModel(
        sample_size=side,
        in_channels=channels,
        out_channels=channels,
        block_out_channels=model.channels,
        layers_per_block=model.layers,
        norm_num_groups=8,
        cross_attention_dim=text.config.hidden_size,
        attention_head_dim=model.heads,
        # The caption as a whole goes where the time goes, into every block: attention alone was seen to learn
        # what it says of the whole picture much later (docs/adr/0009-trainer.md).
        addition_embed_type="text",
        addition_embed_type_num_heads=model.heads,
        resnet_time_scale_shift="scale_shift",
        down_block_types=(*["DownBlock2D"] * plain, *["CrossAttnDownBlock2D"] * crossed),
        up_block_types=(*["CrossAttnUpBlock2D"] * crossed, *["UpBlock2D"] * plain),
    )


def _transformer(settings: Settings, channels: int, side: int, text: Any) -> Any:
    model = settings.model
    if model.width % model.heads:
        raise UsageError("model.width must be a multiple of model.heads", code="bad_model")
    return SD3Transformer2DModel(
        sample_size=side,
        patch_size=model.patch,
        in_channels=channels,
        out_channels=channels,
        num_layers=model.layers,
        num_attention_heads=model.heads,
        attention_head_dim=model.width // model.heads,
        joint_attention_dim=2 * text.config.hidden_size,
        caption_projection_dim=model.width,
        pooled_projection_dim=2 * text.config.projection_dim,
        # Room for buckets up to twice as wide as high.
        pos_embed_max_size=2 * side // model.patch,
        qk_norm="rms_norm",
    )


_NAMES = {"epsilon": "epsilon", "v": "v_prediction", "sample": "sample"}


def _scheduler(settings: Settings, prediction: str, *, transformer: bool, clip: bool) -> Any:
    objective = settings.objective
    if prediction == "flow" and transformer:
        return FlowMatchEulerDiscreteScheduler(shift=objective.shift)
    if prediction == "flow":
        # The one among those that StableDiffusionPipeline takes that knows flows.
        return DPMSolverMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=objective.shift
        )
    if transformer:
        raise UsageError(
            "a dit is sampled by StableDiffusion3Pipeline, which needs objective.prediction = 'flow'",
            code="bad_model",
        )
    return DDIMScheduler(
        beta_schedule=objective.schedule,
        prediction_type=_NAMES[prediction],
        # What StableDiffusionPipeline insists on; clipping to what pixels can be goes by the name of
        # thresholding.
        clip_sample=False,
        steps_offset=1,
        thresholding=clip,
        timestep_spacing="trailing",
        # A schedule that ends in pure noise, as sampling begins with it; epsilon says nothing there.
        rescale_betas_zero_snr=prediction != "epsilon",
    )
