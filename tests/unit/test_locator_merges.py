"""Names that look like sizes and are not: pictures that a key must tell apart."""

from itertools import combinations, product

import pyarrow as pa
import pytest

from optout.locators import canonical, variant_key, variant_keys

SMALL = [
    "1x1",
    "1x2",
    "2x2",
    "2x4",
    "4x6",
    "5x7",
    "8x10",
    "9x12",
    "11x14",
    "12x16",
    "16x20",
    "18x24",
    "20x30",
    "24x36",
]
FAMILIES = {
    "bricks and prints": [
        f"{stem}{mark}{size}" for stem, mark, size in product(("lego", "print", "rug"), "-_.", SMALL)
    ],
    "pictures of a wall": [f"wall-1920-{number}" for number in range(1, 60)],
    "sizes as plain numbers": [f"chair-{number}" for number in (*range(100, 2000, 37), 640, 1024, 1920)],
    "product codes": [
        f"{left}x{right}{letter}" for left, right in product(range(9, 30), (12, 16)) for letter in "ab"
    ],
    "codes with a size in them": [
        f"AB{size}-{number}" for size, number in product(("300x200", "64x64"), range(30))
    ],
    "a name that is a size": [
        f"{width}x{height}" for width, height in product(range(100, 900, 50), repeat=2)
    ],
    "words of services elsewhere": [
        f"tree_{word}"
        for word in ("small", "large", "thumb", "medium", "grande", "b", "m", "o", "640", "1280", "x")
    ],
    "versions and dates": [
        f"map-{year}-{month:02}" for year, month in product(range(1990, 2026), range(1, 13))
    ],
    "camera numbers": [f"IMG_{number:04}" for number in range(0, 3000, 7)],
    "lenses and scales": [
        f"lens-{scale}" for scale in ("2x", "4x", "10x", "50x", "1.5x", "2x2", "3x3x3", "x2", "x4")
    ],
    "near the mark": [
        f"photo-{text}" for text in ("scaled-1", "scale", "unscaled", "300x", "x200", "300x200a", "a300x200")
    ],
}


def addresses(family: str) -> list[str]:
    return [
        f"example.org/{folder}{name}.jpg"
        for folder in ("", "gallery/", "wp-content/uploads/2017/09/")
        for name in FAMILIES[family]
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_are_told_apart(family: str) -> None:
    locators = [canonical(f"https://{address}") for address in addresses(family)]
    assert len(set(locators)) == len(locators)
    by_key: dict[str, str] = {}
    for locator in locators:
        assert by_key.setdefault(variant_key(locator), locator) == locator
    assert variant_keys(pa.array(locators)).to_pylist() == list(by_key)


PARAMETERS = [
    "id=1",
    "id=2",
    "page=1",
    "page=2",
    "v=1",
    "v=2",
    "w=wide",
    "w=tall",
    "h=x",
    "size=",
    "n=300",
    "t=5",
    "a",
    "b",
]


def test_parameters_that_are_no_sizes_are_told_apart() -> None:
    queries = [*PARAMETERS, *("&".join(pair) for pair in combinations(PARAMETERS, 2))]
    assert len({variant_key(f"example.org/show.php?{query}") for query in queries}) == len(queries)
