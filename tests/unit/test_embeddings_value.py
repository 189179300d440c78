"""The text of an embedding, and what is refused as one."""

import base64
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optout.embeddings import check_vectors, format_embedding, parse_embedding
from optout.errors import BadInput, InvalidSelector

MODEL = "ViT-B/32@40d365715913c9da"


def unit(dimension: int = 64, seed: int = 0) -> np.ndarray:
    vector = np.random.default_rng(seed).standard_normal(dimension)
    return (vector / np.linalg.norm(vector)).astype(np.float16)


def text_of(vector: np.ndarray, model: str = MODEL) -> str:
    body = base64.urlsafe_b64encode(vector.astype("<f2").tobytes()).decode()
    return f"oce1:{model}:{body}"


@given(st.integers(0, 2**32 - 1), st.sampled_from([64, 512, 768, 1024, 4096]))
@settings(max_examples=30, deadline=None)
def test_round_trip(seed: int, dimension: int) -> None:
    vector = unit(dimension, seed)
    value = parse_embedding(format_embedding(MODEL, vector))
    assert value.model == MODEL
    assert value.vector.dtype == np.float16
    assert (value.vector == vector).all()


def test_the_text_as_documented() -> None:
    vector = np.zeros(64)
    vector[0] = 1
    assert format_embedding("m", vector) == "oce1:m:ADwA" + "A" * 167


def test_padding_and_blanks_around_it_are_read() -> None:
    assert (parse_embedding(f"  {text_of(unit())}\n").vector == unit()).all()
    assert text_of(unit()).endswith("=")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ofp1:w.00", "begins with oce1:"),
        ("", "begins with oce1:"),
        ("oce1:ViT", "is not the id of a model"),
        ("oce1::AAAA", "is not the id of a model"),
        ("oce1:a b:AAAA", "is not the id of a model"),
        (f"oce1:{'m' * 101}:AAAA", "is not the id of a model"),
        ("oce1:m:", "0 dimensions"),
        ("oce1:m:A+/A", "base64url"),
        ("oce1:m:AAAAA", "cut short"),
        ("oce1:m:AAAA", "no whole number of float16"),
        (text_of(unit(64)[:63]), "63 dimensions"),
        (text_of(np.zeros(4160, np.float16)), "4160 dimensions"),
        (text_of(np.zeros(64, np.float16)), "the length 0, not 1"),
        (text_of(unit() * 2), "the length 2, not 1"),
        (text_of(np.full(64, np.nan)), "not finite"),
        (text_of(np.full(64, np.inf)), "not finite"),
    ],
)
def test_refused_with_a_sentence(text: str, says: str) -> None:
    with pytest.raises(InvalidSelector, match=says) as caught:
        parse_embedding(text)
    assert caught.value.code == "invalid_embedding"


def test_what_cannot_be_written() -> None:
    with pytest.raises(InvalidSelector, match="not the id of a model"):
        format_embedding("a:b", unit())
    with pytest.raises(InvalidSelector, match="not 1"):
        format_embedding(MODEL, unit() * 3)
    with pytest.raises(InvalidSelector, match="not an array"):
        format_embedding(MODEL, unit()[None])
    with pytest.raises(InvalidSelector, match="not finite"):
        format_embedding(MODEL, np.full(64, 1e9))


def test_rows_that_are_no_embeddings() -> None:
    rows = np.stack([unit(seed=1), np.zeros(64), np.full(64, np.nan), unit(seed=2) * 1.5, unit(seed=3)])
    assert check_vectors(rows.astype(np.float16), "rows").tolist() == [True, False, False, False, True]


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros(64, np.float16), r"shape \(64,\)"),
        (np.zeros((2, 64), np.int8), "int8"),
        (np.zeros((2, 100), np.float32), "100 dimensions"),
        (np.zeros((2, 0), np.float32), "0 dimensions"),
    ],
)
def test_arrays_that_hold_no_vectors(array: np.ndarray, says: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        check_vectors(array, "img_emb_0.npy")
    assert caught.value.code == "bad_embeddings"
    assert "img_emb_0.npy" in str(caught.value)


def test_neither_the_library_nor_the_command_imports_torch() -> None:
    program = (
        "import sys, optout, optout.cli.app, optout.engine, optout.embeddings\n"
        "from optout.cli.app import run\n"
        "run(['--version'])\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'torchvision', 'clip')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
