"""Models with random weights: loaded as real ones are, right on the same pixels, and never mixed up."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from optout.embeddings import format_embedding, load_model, parse_embedding
from optout.embeddings.identity import Settings, Thresholds, calibrate, write_settings
from optout.embeddings.loading import settings_path
from optout.embeddings.torch_network import import_clip, import_torch
from optout.errors import BadInput, OptoutError, UsageError
from tests.unit.hashing_support import SHIPPED, encoded
from tests.unit.model_support import small_clip, small_onnx, small_script


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def checkpoint(home: Path) -> Path:
    return small_clip(home / "small.pt")


def by_clip(checkpoint: Path, paths: list[Path]) -> np.ndarray:
    """What clip-anytorch says, used as its README says."""
    torch, clip = import_torch(), import_clip()
    model, preprocess = clip.load(str(checkpoint), device="cpu")
    with torch.no_grad():
        pictures = torch.stack([preprocess(Image.open(path).convert("RGB")) for path in paths])
        found = model.encode_image(pictures)
    return np.asarray(found / found.norm(dim=-1, keepdim=True))


@pytest.mark.filterwarnings("ignore")
def test_embeddings_are_those_of_clip(checkpoint: Path) -> None:
    paths = [path for path in SHIPPED if path.suffix != ".gif"][:12]
    found = load_model(checkpoint, batch=5).embed(paths)
    assert found.dtype == np.float16
    assert found.shape == (12, 64)
    assert np.abs(np.linalg.norm(found.astype(np.float64), axis=1) - 1).max() < 2e-3
    assert np.abs(found - by_clip(checkpoint, paths)).max() < 1e-3
    assert np.abs(found[0] - found[1]).max() > 1e-2


def test_the_record_says_which_model_it_is(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTOUT_CLIP_MODEL", str(checkpoint))
    identity = load_model().identity
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert identity["name"] == "ViT-128x2/16@64px"
    assert identity["weights"] == digest
    assert identity["id"] == f"ViT-128x2/16@64px@{digest[:16]}"
    assert identity["dimension"] == 64
    assert identity["preparation"].startswith("short side 64 and centre square, bicubic; mean (0.48145466,")
    assert identity["thresholds"] == {"match": 0.96, "review": 0.93}
    assert identity["centre"] == hashlib.sha256(bytes(256)).hexdigest()


def test_an_archive_like_openai_s_own_is_the_same_model(home: Path, checkpoint: Path) -> None:
    archive = load_model(small_clip(home / "archive.pt", archive=True))
    plain = load_model(checkpoint)
    assert np.abs(archive.embed(SHIPPED[:3]) - plain.embed(SHIPPED[:3])).max() < 2e-3
    assert archive.record.name == plain.record.name


def test_other_weights_are_another_model(home: Path, checkpoint: Path) -> None:
    one, other = load_model(checkpoint), load_model(small_clip(home / "other.pt", seed=1))
    assert one.record.id != other.record.id
    value = format_embedding(one.record.id, one.embed(SHIPPED[:1])[0])
    assert parse_embedding(value).model == one.record.id


def test_bytes_and_paths_are_the_same_and_one_by_one_as_together(checkpoint: Path) -> None:
    model = load_model(checkpoint, batch=4)
    together = model.embed(SHIPPED[:6])
    assert (model.embed([path.read_bytes() for path in SHIPPED[:6]]) == together).all()
    alone = np.concatenate([model.embed([path]) for path in SHIPPED[:6]])
    assert np.abs(alone - together).max() < 2e-3
    assert model.embed([]).shape == (0, 64)


def test_transparency_orientation_and_long_strips(checkpoint: Path) -> None:
    model = load_model(checkpoint)
    picture = Image.open(SHIPPED[0]).convert("RGB").resize((120, 80))
    turned = picture.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = model.prepare(encoded(picture))
    assert (model.prepare(encoded(turned, exif=exif)) == upright).all()
    clear = picture.copy()
    clear.putalpha(0)
    assert (model.prepare(encoded(clear)) == 255).all()
    assert model.prepare(encoded(Image.new("RGB", (60_000, 2)))).shape == (64, 64, 3)
    assert model.prepare(encoded(Image.new("I;16", (20, 30), 65535))).min() == 255


def test_a_broken_picture_is_named(checkpoint: Path, tmp_path: Path) -> None:
    model = load_model(checkpoint)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(SHIPPED[0].read_bytes()[:100])
    with pytest.raises(BadInput, match=r"broken\.jpg is not a picture"):
        model.embed([SHIPPED[0], broken])
    with pytest.raises(BadInput, match="picture 1 is empty"):
        model.embed([SHIPPED[0].read_bytes(), b""])
    with pytest.raises(BadInput, match=r"takes bytes of shape \(n, 64, 64, 3\)"):
        model.embed_squares(np.zeros((1, 32, 32, 3), np.uint8))


def test_weights_that_make_no_vector(home: Path) -> None:
    torch = import_torch()
    path = small_clip(home / "nan.pt", seed=2)
    state = torch.load(path)
    state["visual.proj"][:] = float("nan")
    torch.save(state, path)
    with pytest.raises(BadInput, match="makes no vector of picture 0 of 1"):
        load_model(path).embed(SHIPPED[:1])


def test_bfloat16_is_near(checkpoint: Path) -> None:
    exact, rough = load_model(checkpoint), load_model(checkpoint, precision="bfloat16")
    cosines = (exact.embed(SHIPPED[:4]).astype(np.float64) * rough.embed(SHIPPED[:4])).sum(axis=1)
    assert cosines.min() > 0.95


@pytest.mark.parametrize("form", ["script", "onnx"])
def test_copy_detection_through_the_same_interface(home: Path, form: str) -> None:
    if form == "script":
        path, side, dimension = small_script(home / "copies.pt"), 320, 128
    else:
        path, side, dimension = small_onnx(home / "copies.onnx"), 96, 64
    model = load_model(f"sscd:{path}", batch=3)
    assert model.record.name == f"sscd-{side}"
    assert model.identity["thresholds"] == {"match": 0.75, "review": 0.5}
    assert model.identity["preparation"].startswith(f"{side} x {side}, bilinear; mean (0.485,")
    found = model.embed(SHIPPED[:4])
    assert found.shape == (4, dimension)
    pixels = np.stack([model.prepare(path) for path in SHIPPED[:4]]).astype(np.float64) / 255
    assert pixels.shape == (4, side, side, 3)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    if form == "onnx":
        matrix = np.random.default_rng(2).standard_normal((3, 64)).astype(np.float32)
        wanted = ((pixels - mean) / deviation).mean(axis=(1, 2)) @ matrix
        wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
        assert np.abs(found - wanted).max() < 1e-3


def test_settings_beside_the_weights(home: Path) -> None:
    path = small_clip(home / "measured.pt", seed=3)
    centre = np.linspace(-0.1, 0.1, 64).astype(np.float32)
    write_settings(settings_path(path), Settings(Thresholds(0.9, 0.8), centre))
    model = load_model(path)
    assert model.record.thresholds == Thresholds(0.9, 0.8)
    assert (model.record.centre == centre).all()
    assert model.identity["centre"] == hashlib.sha256(centre.tobytes()).hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[]",
        '{"thresholds": {"match": 0.5, "review": 0.8}}',
        '{"thresholds": {"match": 0.5}}',
        '{"centre": "AAAA"}',
        '{"centre": "AAAAAAAA"}',
        '{"centre": 5}',
    ],
)
def test_settings_that_are_none(home: Path, text: str) -> None:
    path = small_clip(home / "unmeasured.pt", seed=4)
    settings_path(path).write_text(text)
    with pytest.raises(BadInput, match=r"unmeasured\.pt\.json") as caught:
        load_model(path)
    assert caught.value.code == "bad_model_settings"


def test_settings_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OptoutError, match=r"cannot write .*model\.pt\.json") as caught:
        write_settings(settings_path(tmp_path / "missing" / "model.pt"), Settings(Thresholds(0.9, 0.8)))
    assert caught.value.code == "write_failed"


def test_calibration_takes_the_closest_strangers() -> None:
    vectors = np.random.default_rng(5).standard_normal((2100, 64)) + 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    settings = calibrate(vectors.astype(np.float16))
    assert settings.thresholds is not None
    assert settings.centre is not None
    cosines = vectors @ vectors.T - 2 * np.eye(len(vectors))
    assert settings.thresholds.review == pytest.approx(cosines.max(), abs=1e-3)
    assert settings.thresholds.match == pytest.approx((1 + cosines.max()) / 2, abs=1e-3)
    assert np.abs(settings.centre - vectors.mean(axis=0)).max() < 1e-3
    with pytest.raises(BadInput, match="copies of each other"):
        calibrate(np.concatenate([vectors, vectors[:1]]))
    with pytest.raises(BadInput, match="too few"):
        calibrate(vectors[:99])


def test_what_is_no_model(home: Path, checkpoint: Path) -> None:
    text, onnx = home / "text.pt", home / "text.onnx"
    for path in (text, onnx):
        path.write_text("not weights")
    for spec, says, code in [
        (str(text), r"text\.pt is not a CLIP checkpoint", "bad_model"),
        (f"sscd:{text}", r"text\.pt is not a TorchScript model", "bad_model"),
        (f"sscd:{onnx}", r"text\.onnx is not an ONNX model", "bad_model"),
        (str(home / "missing.pt"), "is not a file of weights", "unknown_model"),
        ("ViT-Z/99", "neither a file nor a model; there are RN50", "unknown_model"),
        (str(small_clip(home / "odd.pt", embedding=96)), "96 dimensions", "bad_model"),
        (f"sscd:{small_onnx(home / 'odd.onnx', dimension=100)}", "100 dimensions", "bad_model"),
        (f"sscd:{checkpoint}", "is not a TorchScript model", "bad_model"),
    ]:
        with pytest.raises(BadInput, match=says) as caught:
            load_model(spec)
        assert caught.value.code == code
    with pytest.raises(UsageError, match="'int8' is no precision"):
        load_model(checkpoint, precision="int8")


def test_a_named_model_that_cannot_be_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(import_clip().clip, "_MODELS", {"ViT-B/32": "http://127.0.0.1:9/0/ViT-B-32.pt"})
    with pytest.raises(BadInput, match=r"could not be fetched.*OPTOUT_CLIP_MODEL may name a file"):
        load_model("ViT-B/32")
