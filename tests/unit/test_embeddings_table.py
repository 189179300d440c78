"""The table of claimed embeddings: what it finds, how surely, and that claims make the same bytes again."""

import numpy as np
import pytest

from optout.embeddings import EmbeddingTable, clip_codes, make_embedding_table
from optout.embeddings.exact import ExactSearch
from optout.embeddings.radius import greatest_angles, radii
from optout.errors import BadInput, DoesNotHold

DIMENSION = 256
#: Of the first and of the last unit vector of 128 dimensions.
CODES = [["283997dc82a2a52c", "4cc03caa5856e4e7"], ["35b948abc5f909e4", "c568be823b026964"]]


def unit(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float16)


def pictures(count: int, dimension: int = DIMENSION, seed: int = 0) -> np.ndarray:
    """Around a mean that all share, as CLIP's are: two at random have a cosine of about 0.5."""
    chance = np.random.default_rng(seed)
    mean = np.random.default_rng(99).standard_normal(dimension)
    return unit(mean + chance.standard_normal((count, dimension)))


def copies(of: np.ndarray, cosine: float, seed: int = 1) -> np.ndarray:
    base = of.astype(np.float64)
    away = np.random.default_rng(seed).standard_normal(base.shape)
    away -= (away * base).sum(axis=1, keepdims=True) * base
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    return unit(cosine * base + np.sqrt(1 - cosine**2) * away)


def numbers(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.uint32)


def exact_pairs(claimed: np.ndarray, asked: np.ndarray, least: float) -> set[tuple[int, int]]:
    return {
        (int(row), int(entry)) for row, entry in np.argwhere(asked.astype(np.float32) @ claimed.T >= least)
    }


@pytest.mark.parametrize("dimension", [64, 128, 256, 512, 768])
def test_copies_are_found_and_nothing_else(dimension: int) -> None:
    claimed = pictures(3000, dimension)
    asked = np.concatenate([copies(claimed[:300], 0.95), pictures(200, dimension, seed=7)])
    table = EmbeddingTable.from_columns(make_embedding_table(claimed, numbers(3000)))
    found = table.search(asked, 0.9)
    unsure = exact_pairs(table.vector, asked, 0.8999) - exact_pairs(table.vector, asked, 0.9001)
    wanted = exact_pairs(table.vector, asked, 0.9) - unsure
    got = set(zip(found.row.tolist(), found.entry.tolist(), strict=True))
    assert len(wanted) >= 300
    assert len(wanted & got) >= 0.99 * len(wanted)
    assert not got - wanted - unsure
    assert {int(table.claim[entry]) for row, entry in got if row < 300} >= set(range(298))


def test_the_cosine_is_the_vectors_scalar_product() -> None:
    claimed, asked = pictures(500), pictures(40, seed=3)
    table = EmbeddingTable.from_columns(make_embedding_table(claimed, numbers(500)))
    found = table.search(asked, 0.5)
    exact = asked.astype(np.float64)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    products = (exact[found.row] * table.vector[found.entry].astype(np.float64)).sum(axis=1)
    assert len(found.row) > 1000
    assert np.abs(products - found.cosine).max() < 1e-6
    assert (np.diff(found.row.astype(np.int64) * 500 + found.entry) > 0).all()


def test_recall_right_at_the_threshold() -> None:
    claimed = pictures(20_000, seed=11)
    asked = copies(claimed[:4000], 0.9003, seed=12)
    table = EmbeddingTable.from_columns(make_embedding_table(claimed, numbers(20_000)))
    found = table.search(asked, 0.9)
    wanted = exact_pairs(table.vector, asked, 0.9001)
    got = set(zip(found.row.tolist(), found.entry.tolist(), strict=True))
    assert len(wanted) > 3500
    assert len(wanted & got) / len(wanted) >= 0.995


def test_the_order_of_claims_changes_nothing() -> None:
    claimed = np.concatenate([pictures(1000), pictures(3)[[0, 0, 1]]])
    claim = np.concatenate([numbers(1000) // 3, [0, 0, 5]]).astype(np.uint32)
    order = np.random.default_rng(4).permutation(len(claimed))
    first = make_embedding_table(claimed, claim)
    second = make_embedding_table(claimed[order], claim[order])
    assert {name: column.tobytes() for name, column in first.items()} == {
        name: column.tobytes() for name, column in second.items()
    }


def test_columns_come_back_from_flat_bytes() -> None:
    claimed = pictures(100)
    columns = make_embedding_table(claimed, numbers(100))
    flat = {name: np.frombuffer(column.tobytes(), column.dtype) for name, column in columns.items()}
    flat["vector"] = flat["vector"].view(np.uint16)
    asked = copies(claimed[:20], 0.97)
    ours, theirs = (EmbeddingTable.from_columns(kept).search(asked, 0.9) for kept in (columns, flat))
    assert all((left == right).all() for left, right in zip(ours, theirs, strict=True))
    assert len(ours.row) >= 20


@pytest.mark.parametrize("name", ["claim", "code", "vector", "norm"])
def test_columns_that_do_not_fit_each_other(name: str) -> None:
    columns = make_embedding_table(pictures(10), numbers(10))
    columns[name] = columns[name].reshape(-1)[:-1]
    with pytest.raises(DoesNotHold, match="do not fit each other") as caught:
        EmbeddingTable.from_columns(columns)
    assert caught.value.code == "bad_file"


def test_an_empty_table_and_an_empty_question() -> None:
    empty = EmbeddingTable.from_columns(make_embedding_table(pictures(0), numbers(0)))
    assert len(empty.search(pictures(5), 0.9).row) == 0
    table = EmbeddingTable.from_columns(make_embedding_table(pictures(5), numbers(5)))
    assert len(table.search(pictures(0), 0.9).row) == 0


def test_one_claim_finds_itself_though_the_centre_is_itself() -> None:
    table = EmbeddingTable.from_columns(make_embedding_table(pictures(1), numbers(1)))
    assert table.search(pictures(1), 0.9).entry.tolist() == [0]


def test_a_centre_that_is_given_is_used() -> None:
    centre = np.full(DIMENSION, 0.01, np.float32)
    columns = make_embedding_table(pictures(10), numbers(10), centre)
    assert (columns["centre"] == centre).all()
    assert (clip_codes(columns["vector"], centre) == columns["code"].T).all()


def test_vectors_of_another_dimension_or_length_are_refused() -> None:
    table = EmbeddingTable.from_columns(make_embedding_table(pictures(5), numbers(5)))
    with pytest.raises(BadInput, match="128 dimensions cannot be compared"):
        table.search(pictures(2, 128), 0.9)
    with pytest.raises(BadInput, match="row 1 is not finite or not of unit length"):
        table.search(pictures(3) * np.array([[1], [2], [1]], np.float16), 0.9)
    with pytest.raises(BadInput, match="row 2 is not finite"):
        make_embedding_table(np.concatenate([pictures(2), np.full((1, DIMENSION), np.nan)]), numbers(3))
    with pytest.raises(BadInput, match="3 embeddings for 2 claims"):
        make_embedding_table(pictures(3), numbers(2))


def test_codes_are_the_same_everywhere() -> None:
    vectors = np.zeros((2, 128), np.float32)
    vectors[0, 0] = vectors[1, 127] = 1
    codes = clip_codes(vectors, np.zeros(128, np.float32))
    assert [[f"{word:016x}" for word in row] for row in codes] == CODES


def test_codes_differ_as_angles_do() -> None:
    claimed = pictures(4000, 512)
    centre = claimed.astype(np.float32).mean(axis=0)
    asked = copies(claimed, 0.93)
    left, right = clip_codes(claimed, centre), clip_codes(asked, centre)
    distance = np.bitwise_count(left ^ right).sum(axis=1)
    one, other = claimed.astype(np.float64) - centre, asked.astype(np.float64) - centre
    cosine = (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    expected = 512 * np.arccos(cosine) / np.pi
    assert abs(float((distance - expected).mean())) < 1


def test_angles_and_radii() -> None:
    # Two vectors of length 1 around a centre at the origin: the angle itself.
    angle = greatest_angles(0.5, np.array([1.0]), 1.0, 1.0)
    assert angle[0] == pytest.approx(np.pi / 3)
    # The centre would be a match: anything can stand at any angle.
    assert greatest_angles(0.5, np.array([0.9]), 0.0, 1.0)[0] == np.pi
    reached = radii(768, np.array([0.0, np.pi / 4, np.pi]), 1e-3)
    assert reached[0] == 0
    assert reached[2] == 768
    assert 192 + 30 < reached[1] < 192 + 45


def test_the_exact_search_finds_what_the_codes_find_and_the_rest() -> None:
    claimed = pictures(3000, seed=21)
    asked = np.concatenate([copies(claimed[:1500], 0.91, seed=22), pictures(20, seed=23)])
    table = EmbeddingTable.from_columns(make_embedding_table(claimed, numbers(3000)))
    exact, quick = ExactSearch(table, device="cpu").search(asked, 0.9), table.search(asked, 0.9)
    cosine = {(row, entry): cosine for row, entry, cosine in zip(*exact, strict=True)}
    assert all(cosine[row, entry] == found for row, entry, found in zip(*quick, strict=True))
    products = asked.astype(np.float64) @ table.vector.astype(np.float64).T
    products /= np.linalg.norm(asked.astype(np.float64), axis=1, keepdims=True)
    sure = {(int(row), int(entry)) for row, entry in np.argwhere(products >= 0.9 + 1e-6)}
    assert len(sure) >= 1400
    assert sure <= set(cosine)
    assert all(products[row, entry] >= 0.9 - 1e-6 for row, entry in cosine)
    assert (np.diff(exact.row.astype(np.int64) * 3000 + exact.entry) > 0).all()


def test_the_exact_search_of_nothing() -> None:
    empty = EmbeddingTable.from_columns(make_embedding_table(pictures(0), numbers(0)))
    assert len(ExactSearch(empty, device="cpu").search(pictures(5), 0.9).row) == 0
    with pytest.raises(BadInput, match="128 dimensions cannot be compared"):
        ExactSearch(empty, device="cpu").search(pictures(2, 128), 0.9)
