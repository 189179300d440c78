"""Text conditioning: CLIP tokenizers and text encoders, the pipeline's own ones."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
)

from optout.errors import BadInput

__all__ = ["Tokenizing", "learn_tokenizer", "load_text", "make_text_encoder", "silent_text_encoder"]

_START, _END = "<|startoftext|>", "<|endoftext|>"
_WORD_END = "</w>"


class Tokenizing:
    """Captions to ids as the pipeline itself makes them: padded to the longest allowed, cut beyond it."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def __call__(self, captions: list[str]) -> torch.Tensor:
        """int64[captions, tokens]."""
        made = self.tokenizer(
            captions,
            padding="max_length",
            max_length=self.tokenizer.model_max_length,
            truncation=True,
            return_tensors="pt",
        )
        ids: torch.Tensor = made.input_ids
        return ids


def learn_tokenizer(captions: Iterable[str], *, size: int, tokens: int) -> Any:
    """A byte-pair tokenizer in CLIP's format, learned from captions: frequent words become one token.

    Args:
        captions: texts to learn from.
        size: of the vocabulary; every byte is in it, so nothing is ever unknown.
        tokens: longest caption in tokens.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    learned = Tokenizer(models.BPE(end_of_word_suffix=_WORD_END))
    learned.normalizer = normalizers.Lowercase()
    learned.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(alphabet),
        initial_alphabet=alphabet,
        end_of_word_suffix=_WORD_END,
        show_progress=False,
    )
    learned.train_from_iterator(captions, trainer)
    return _in_clip_format(learned, alphabet, tokens)


def _in_clip_format(learned: Any, alphabet: Sequence[str], tokens: int) -> Any:
    """CLIP's order: bytes, bytes that end a word, merges, then the two marks."""
    merges = [tuple(pair) for pair in json.loads(learned.to_str())["model"]["merges"]]
    words = [*alphabet, *(letter + _WORD_END for letter in alphabet), *("".join(pair) for pair in merges)]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys([*words, _START, _END]))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=tokens)


def make_text_encoder(tokenizer: Any, *, width: int, layers: int, projected: bool) -> Any:
    """A small CLIP text encoder with fresh weights; `projected` where the pooled text is wanted too."""
    heads = next(count for count in (max(1, width // 32), 4, 2, 1) if width % count == 0)
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def silent_text_encoder(tokenizer: Any, *, width: int) -> Any:
    """A T5 encoder that answers everything with zeros, `width` channels wide.

    StableDiffusion3Pipeline loads only with three text encoders. It takes zeros where the third is left out.
    """
    config = T5Config(
        vocab_size=len(tokenizer), d_model=width, d_kv=1, d_ff=1, num_layers=1, num_heads=1, is_decoder=False
    )
    made = T5EncoderModel(config)
    torch.nn.init.zeros_(made.encoder.final_layer_norm.weight)
    return made.requires_grad_(False).eval()


def load_text(folder: Path, *, projected: bool) -> tuple[Any, Any]:
    """The tokenizer and the text encoder of a pipeline on this machine.

    Raises:
        BadInput: there is none (`bad_checkpoint`).
    """
    kind = CLIPTextModelWithProjection if projected else CLIPTextModel
    try:
        tokenizer = CLIPTokenizer.from_pretrained(str(folder / "tokenizer"))
        return tokenizer, kind.from_pretrained(str(folder / "text_encoder"))
    except (OSError, ValueError) as error:
        raise BadInput(
            f"{folder} has no CLIP text_encoder/ and tokenizer/: {error}", code="bad_checkpoint"
        ) from None
