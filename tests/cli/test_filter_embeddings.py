"""`optout filter` of embedding shards: by the pictures' embeddings and by what the metadata say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optout.embeddings import format_embedding
from tests.cli.command_support import Home, Ran, build

Command = Callable[..., Ran]
Vectors = npt.NDArray[np.float16]

MODEL = "ViT-L/14@b8cca3fd41ae0c99"
ROWS, DIMENSION = 300, 128


def unit(vectors: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    scaled: npt.NDArray[np.float64] = vectors / np.asarray(np.linalg.norm(vectors, axis=-1, keepdims=True))
    return scaled


VECTORS = unit(np.random.default_rng(7).normal(size=(ROWS, DIMENSION)))


def near(vector: npt.NDArray[Any], cosine: float) -> npt.NDArray[Any]:
    """A vector with that cosine to a unit one."""
    other = np.roll(vector, 1)
    other = unit(other - (other @ vector) * vector)
    return np.asarray(cosine * vector + np.sqrt(1 - cosine**2) * other)


@pytest.fixture(scope="module")
def claimed(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Claims by the embeddings 3 (as it is), 5 (close), 7 (for review), and by a domain."""
    vectors = {3: 1.0, 5: 0.98, 7: 0.945, 9: 0.8}
    claims = [
        {"selector": "clip", "value": format_embedding(MODEL, near(VECTORS[row], cosine).astype(np.float16))}
        for row, cosine in vectors.items()
    ]
    claims.append({"selector": "domain", "value": "denied.example"})
    claims = [{**claim, "decision": "deny", "owner": "eva"} for claim in claims]
    return build(tmp_path_factory.mktemp("claimed") / "snapshot", claims, home.private)


@pytest.fixture
def go(optout: Command, claimed: Path, home: Home, tmp_path: Path) -> Command:
    def go(*arguments: object, out: str = "out", source: str = "in") -> Ran:
        where = ("--snapshot", claimed, "--out", tmp_path / out, "--key", home.private, "--json")
        return optout("filter", tmp_path / source, *where, "--clip-model", MODEL, *arguments)

    return go


def lay(
    folder: Path, vectors: npt.NDArray[Any] = VECTORS, number: str = "0", padded: str = "0000", **columns: Any
) -> Path:
    """A shard as clip-retrieval writes it; row 1 is of the denied domain."""
    for part in ("img_emb", "text_emb", "metadata"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    np.save(folder / "img_emb" / f"img_emb_{number}.npy", vectors.astype(np.float16))
    np.save(folder / "text_emb" / f"text_emb_{number}.npy", vectors[::-1].astype(np.float32))
    hosts = ["denied" if row == 1 else "fine" for row in range(ROWS)]
    columns = columns or {
        "url": [f"https://{host}.example/{row}.jpg" for row, host in enumerate(hosts)],
        "caption": ["by Mara" if row == 2 else "" for row in range(ROWS)],
    }
    table = pa.table({**columns, "n": range(len(next(iter(columns.values()))))})
    pq.write_table(table, folder / "metadata" / f"metadata_{padded}.parquet", row_group_size=64)
    return folder


def test_rows_go_from_every_file_of_a_shard(go: Command, optout: Command, home: Home, tmp_path: Path) -> None:
    lay(tmp_path / "in")
    ran = go()
    assert ran.code == 0, ran.err
    assert (ran.json["rows"], ran.json["reasons"]) == (ROWS, {"clip": 2, "domain": 1})
    kept = [row for row in range(ROWS) if row not in {1, 3, 5}]
    out = tmp_path / "out"
    assert pq.read_table(out / "metadata" / "metadata_0000.parquet")["n"].to_pylist() == kept
    written = np.load(out / "img_emb" / "img_emb_0.npy")
    assert written.dtype == np.float16
    np.testing.assert_array_equal(written, VECTORS[kept].astype(np.float16))
    texts = np.load(out / "text_emb" / "text_emb_0.npy")
    np.testing.assert_array_equal(texts, VECTORS[::-1][kept].astype(np.float32))
    assert optout("verify", ran.json["receipt"], "--trust", home.public).code == 0
    assert go().json["resumed"] == 1


def test_weaker_likeness_counts_when_asked_for(go: Command, tmp_path: Path) -> None:
    lay(tmp_path / "in")
    assert go("--evidence", "review").json["reasons"] == {"clip": 3, "domain": 1}


def test_annotate_and_mask(go: Command, tmp_path: Path) -> None:
    lay(tmp_path / "in")
    assert go("--mode", "annotate").code == 0
    noted = pq.read_table(tmp_path / "out" / "metadata" / "metadata_0000.parquet")
    answers = noted["optout_reason"].to_pylist()
    assert [answers[row] for row in range(6)] == [None, "domain", None, "clip", None, "clip"]
    assert (tmp_path / "out" / "img_emb" / "img_emb_0.npy").read_bytes() == (
        tmp_path / "in" / "img_emb" / "img_emb_0.npy"
    ).read_bytes()
    assert go("--mode", "mask", out="mask").code == 0
    mask = pq.read_table(tmp_path / "mask" / "img_emb" / "img_emb_0.parquet")
    assert mask["row"].to_pylist() == [1, 3, 5]


def test_metadata_without_addresses(go: Command, tmp_path: Path) -> None:
    lay(tmp_path / "in", image_path=[f"{row}.jpg" for row in range(ROWS)])
    ran = go()
    assert (ran.code, ran.json["reasons"], ran.json["kept"]) == (0, {"clip": 2}, ROWS - 2)
    assert go("--mode", "mask", out="mask").json["dropped"] == 2


def test_several_shards_and_one_alone(go: Command, tmp_path: Path) -> None:
    for number in range(3):
        lay(tmp_path / "in" / "deep", number=str(number), padded=f"{number:04d}")
    ran = go("--processes", 2)
    assert (ran.code, ran.json["shards"], ran.json["dropped"]) == (0, 3, 9)
    assert (tmp_path / "out" / "deep" / "img_emb" / "img_emb_2.npy").exists()
    alone = go(source="in/deep/img_emb/img_emb_1.npy", out="alone")
    assert (alone.code, alone.json["rows"]) == (0, ROWS)
    assert (tmp_path / "alone" / "metadata" / "metadata_0001.parquet").exists()


def test_rows_without_a_usable_embedding_cannot_be_judged(go: Command, tmp_path: Path) -> None:
    broken = VECTORS.copy()
    broken[10, 5], broken[11], broken[12], broken[13, 0] = np.nan, 0, 2 * broken[12], np.inf
    lay(tmp_path / "in", broken)
    ran = go()
    assert (ran.code, ran.json["error_reasons"]) == (0, {"embedding": 4})
    assert ran.json["kept"] == ROWS - 7


def cut_short(folder: Path) -> None:
    path = folder / "img_emb" / "img_emb_0.npy"
    path.write_bytes(path.read_bytes()[:-100])


def save(vectors: npt.NDArray[Any], part: str = "img_emb") -> Callable[[Path], None]:
    return lambda folder: np.save(folder / part / f"{part}_0.npy", vectors)


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def pad_again(folder: Path) -> None:
    (folder / "img_emb" / "img_emb_00.npy").write_bytes((folder / "img_emb" / "img_emb_0.npy").read_bytes())


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (cut_short, "bad_npy", "img_emb_0.npy: not a whole NumPy array"),
        (lambda folder: (folder / "img_emb" / "img_emb_0.npy").write_bytes(b""), "bad_npy", "img_emb_0.npy"),
        (save(VECTORS[0]), "bad_npy", "holds float64 of shape (128,)"),
        (save(np.ones((ROWS, DIMENSION), np.int8)), "bad_npy", "holds int8"),
        (save(np.array([{}], object)), "bad_npy", "img_emb_0.npy"),
        (save(VECTORS[:-1].astype(np.float16)), "rows_differ", "has 299 rows, but the metadata have 300"),
        (save(VECTORS[1:].astype(np.float16), "text_emb"), "rows_differ", "text_emb_0.npy: has 299 rows"),
        (save(VECTORS[:, :100].astype(np.float16)), "bad_embeddings", "img_emb_0.npy"),
        (remove("metadata/metadata_0000.parquet"), "missing_partner", "there are 0 metadata_0.parquet"),
        (remove("img_emb/img_emb_0.npy"), "no_shards", ""),
        (pad_again, "missing_partner", "there are 2 arrays img_emb_0.npy"),
    ],
    ids=[
        "cut short", "empty", "one axis", "integers", "objects", "fewer rows", "texts that do not line up",
        "odd dimension", "no metadata", "no embeddings", "two of a number",
    ],
)  # fmt: skip
def test_shards_that_do_not_hold_together(
    go: Command, tmp_path: Path, change: Callable[[Path], object], code: str, said: str
) -> None:
    change(lay(tmp_path / "in"))
    ran = go("--format", "embeddings")
    assert (ran.code, ran.json["error"]["code"]) == (3, code)
    assert said in ran.err
    assert not list((tmp_path / "out").rglob("*.npy"))


@pytest.mark.parametrize(
    ("model", "columns", "said"),
    [
        ("ViT-B/32@0123456789abcdef", DIMENSION, "by ViT-B/32@0123456789abcdef cannot be compared"),
        (MODEL, 64, "64 numbers by"),
        (None, DIMENSION, "tell by --clip-model"),
    ],
    ids=["another model", "another dimension", "not told"],
)
def test_embeddings_of_another_model_are_refused(
    optout: Command, claimed: Path, tmp_path: Path, model: str | None, columns: int, said: str
) -> None:
    lay(tmp_path / "in", unit(VECTORS[:, :columns]))
    told = ("--clip-model", model) if model else ()
    ran = optout("filter", tmp_path / "in", "--snapshot", claimed, "--out", tmp_path / "out", *told)
    assert (ran.code, said in ran.err, MODEL in ran.err) == (2, True, True)
