"""Working on pixels inside a latent pipeline: an autoencoder that changes nothing.

Diffusers' text-to-image pipelines for CLIP all decode latents. An autoencoder whose weights are set so that
encoding and decoding give back what went in lets a model of pixels be loaded, shared and used as any other,
without code of ours.
"""

from typing import Any

import torch
from diffusers import AutoencoderTiny

__all__ = ["identity_autoencoder", "is_identity"]

# The decoder bends its input by tanh(x / 3) * 3, which this small leaves it straight to a ten-thousandth.
_SCALE = 0.05
_CHANNELS = 6


def identity_autoencoder() -> Any:
    """An autoencoder without reduction: `encode(x) * scaling_factor` is x itself, in three channels."""
    vae = AutoencoderTiny(
        latent_channels=3,
        encoder_block_out_channels=(_CHANNELS,),
        decoder_block_out_channels=(_CHANNELS,),
        num_encoder_blocks=(0,),
        num_decoder_blocks=(0,),
        scaling_factor=1 / _SCALE,
    )
    convolutions = [layer for layer in vae.modules() if isinstance(layer, torch.nn.Conv2d)]
    encoder_in, encoder_out, decoder_in, decoder_out = convolutions
    with torch.no_grad():
        for layer in convolutions:
            layer.weight.zero_()
            layer.bias.zero_()
        for c in range(3):
            # u = (x + 1) / 2 is what the encoder begins with; latent = _SCALE * x.
            encoder_in.weight[c, c, 1, 1] = 1
            encoder_out.weight[c, c, 1, 1] = 2 * _SCALE
            encoder_out.bias[c] = -_SCALE
            # Both halves of the value pass the ReLU; the pipeline's x is 2 * out - 1.
            decoder_in.weight[c, c, 1, 1] = 1
            decoder_in.weight[c + 3, c, 1, 1] = -1
            decoder_out.weight[c, c, 1, 1] = 0.5 / _SCALE
            decoder_out.weight[c, c + 3, 1, 1] = -0.5 / _SCALE
            decoder_out.bias[c] = 0.5
    return vae.requires_grad_(False)


def is_identity(vae: Any) -> bool:
    """Whether `vae` is one made here, so that encoding can be left out."""
    config = vae.config
    return type(vae) is AutoencoderTiny and tuple(config.num_encoder_blocks) == (0,)
