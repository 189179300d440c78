"""Pictures: hashes of JPEGs against Pillow with imagehash and pdqhash, one thread."""

import io
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

import imagehash
import numpy as np
import pdqhash
import simplejpeg
import skimage
from PIL import Image, ImageOps

from benchmarks.common import Report, one_core
from optout.hashes import hash_picture, hash_probes
from optout.hashing.decode import decode_luma
from optout.hashing.lanczos import Box, Pixels
from optout.hashing.pdq import Pdq, pdq
from optout.hashing.phash import phash
from optout.hashing.views import boxes

ROUNDS = 9
SIDES = (512, 1024)
BORDER = 0.05
#: Photographs that scikit-image ships.
NAMES = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "motorcycle_left.png",
    "retina.jpg",
    "rocket.jpg",
)
Work = Callable[[bytes], object]


class Compared(NamedTuple):
    """Ours and a peer, with the least ratio wanted by longer side, if any is."""

    ours: str
    peer: str
    aims: dict[int, float]


def photographs(size: tuple[int, int]) -> list[Image.Image]:
    """The photographs cut to that size."""
    folder = Path(skimage.__file__).parent / "data"
    found = []
    for name in NAMES:
        with Image.open(folder / name) as image:
            found.append(ImageOps.fit(image.convert("RGB"), size))
    return found


def framed(side: int) -> list[Image.Image]:
    """Photographs of 4 by 3 in a white border, so that each of the three views is another."""
    border = round(side * BORDER)
    inside = side - 2 * border, side * 3 // 4 - 2 * border
    return [ImageOps.expand(image, border, "white") for image in photographs(inside)]


def jpeg(image: Image.Image) -> bytes:
    """The quality that sites use."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def whole(luma: Pixels) -> Box:
    return 0, 0, luma.shape[0], luma.shape[1]


def our_phash(data: bytes) -> int:
    luma = decode_luma(data, "it")
    return phash(luma, whole(luma))[0]


def our_pdq(data: bytes) -> Pdq:
    luma = decode_luma(data, "it")
    return pdq(luma, whole(luma))


def our_both(data: bytes) -> tuple[int, Pdq]:
    luma = decode_luma(data, "it")
    return phash(luma, whole(luma))[0], pdq(luma, whole(luma))


def decoded(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")


def peer_phash(data: bytes) -> object:
    return imagehash.phash(decoded(data))


def peer_pdq(data: bytes) -> object:
    return pdqhash.compute(np.asarray(decoded(data)))


def peer_all(data: bytes) -> object:
    image = decoded(data)
    return imagehash.phash(image), imagehash.dhash(image), pdqhash.compute(np.asarray(image))


def peer_views(data: bytes) -> None:
    """Both hashes of the views that we take, from one decode; where these are is found by our code."""
    image = decoded(data)
    for top, left, rows, columns in boxes(np.asarray(image.convert("L"))).values():
        part = image.crop((left, top, left + columns, top + rows))
        imagehash.phash(part)
        pdqhash.compute(np.asarray(part))


SQUARES: dict[str, Work] = {
    "simplejpeg, luma only": partial(simplejpeg.decode_jpeg, colorspace="GRAY"),
    "pHash": our_phash,
    "PDQ": our_pdq,
    "pHash and PDQ": our_both,
    "Pillow + imagehash.phash": peer_phash,
    "Pillow + pdqhash": peer_pdq,
    "Pillow + phash, dhash, pdqhash": peer_all,
}
FRAMED: dict[str, Work] = {
    "three views and digests": hash_picture,
    "three views in eight orientations": hash_probes,
    "Pillow + phash, dhash, pdqhash, whole only": peer_all,
    "Pillow + phash, pdqhash, three views": peer_views,
}
COMPARED_SQUARES = (
    Compared("pHash", "Pillow + imagehash.phash", {512: 2.5, 1024: 2.5}),
    Compared("PDQ", "Pillow + pdqhash", {512: 5.0, 1024: 12.0}),
    Compared("pHash and PDQ", "Pillow + phash, dhash, pdqhash", {512: 7.0, 1024: 11.0}),
)
COMPARED_FRAMED = (
    Compared("three views and digests", "Pillow + phash, dhash, pdqhash, whole only", {512: 3.0, 1024: 3.0}),
    Compared("three views and digests", "Pillow + phash, pdqhash, three views", {}),
    Compared("three views in eight orientations", "Pillow + phash, pdqhash, three views", {}),
)


def check(pictures: list[bytes]) -> None:
    """What is measured is right: the bits are the libraries' for the same luma."""
    for data in pictures:
        luma = decode_luma(data, "it")
        bits, quality = pdqhash.compute(np.repeat(luma[:, :, None], 3, axis=2))
        words = "".join(f"{int(word):016x}" for word in our_pdq(data).words)
        same = f"{our_phash(data):016x}" == str(imagehash.phash(Image.fromarray(luma)))
        if not same or words != np.packbits(bits).tobytes().hex() or our_pdq(data).quality != quality:
            raise SystemExit("the hashes differ from those of imagehash and pdqhash")


def cpu_seconds(works: dict[str, Work], pictures: list[bytes]) -> dict[str, list[float]]:
    """CPU seconds a picture of each work in turn, ROUNDS times: other load meets all alike."""
    for work in works.values():
        # What is compiled, loaded or computed once for a size is no cost of a picture.
        work(pictures[0])
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            start = time.process_time()
            for data in pictures:
                work(data)
            times[name].append((time.process_time() - start) / len(pictures))
    return times


def add(report: Report, side: int, costs: dict[str, list[float]], compared: tuple[Compared, ...]) -> None:
    """Every cost once, then the ratios, medians over the rounds."""
    for name, seconds in costs.items():
        report.add(f"{side} px: {name}", f"{1e3 * median(seconds):.2f} ms (worst {1e3 * max(seconds):.2f})")
    for ours, peer, aims in compared:
        pairs = zip(costs[peer], costs[ours], strict=True)
        ratio = median(theirs / mine for theirs, mine in pairs)
        report.add(f"{side} px: {ours}, against {peer}", "", ratio=ratio, aim=aims.get(side))


def main() -> int:
    """Measure, print the table; 1 when a figure falls short of its aim."""
    one_core()
    report = Report(
        f"Pictures: {len(NAMES)} photographs as JPEG, one thread, CPU time, medians of {ROUNDS} rounds"
    )
    for side in SIDES:
        squares = [jpeg(image) for image in photographs((side, side))]
        in_frames = [jpeg(image) for image in framed(side)]
        check(squares + in_frames)
        if any(len(hash_picture(data).views) != 3 for data in in_frames):
            raise SystemExit("a picture in a frame has not three views")
        report.add(
            f"{side} px: bytes a picture",
            f"{mean(map(len, squares)) / 1e3:.0f} kB, {mean(map(len, in_frames)) / 1e3:.0f} kB framed",
        )
        add(report, side, cpu_seconds(SQUARES, squares), COMPARED_SQUARES)
        add(report, side, cpu_seconds(FRAMED, in_frames), COMPARED_FRAMED)
    return 0 if report.show() else 1


if __name__ == "__main__":
    sys.exit(main())
