"""Embeddings a second on a GPU against clip-anytorch used as its README says, and exact matching there.

The architectures are ViT-B/32's and ViT-L/14's, with random weights and a text half of one layer, which
pictures never meet. `python -m benchmarks.embeddings_gpu [seconds]` ends in about that time, 170 if left out.
"""

import io
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from optout.embeddings import EmbeddingModel, EmbeddingTable, load_model, make_embedding_table
from optout.embeddings.exact import ExactSearch
from optout.embeddings.torch_network import import_clip, import_torch

#: Embedding, side, layers, width and patch.
ARCHITECTURES = {"ViT-B/32": (512, 224, 12, 768, 32), "ViT-L/14": (768, 224, 24, 1024, 14)}
BATCHES = (1, 16, 64, 256, 1024)
COMPILED_BATCH = 256
FILES = 1024
CLAIMS, QUERIES, DIMENSION, COPIES = 1_000_000, 4096, 768, 1000
LEAST = 0.96
_SECONDS = 0.8
#: What torch.compile and everything after it may take.
_COMPILING = 75


class Clock:
    """How much of the time given is left."""

    def __init__(self, seconds: float) -> None:
        self.end = time.perf_counter() + seconds

    def left(self) -> float:
        return self.end - time.perf_counter()


def main(arguments: list[str]) -> int:
    """Measure and print; 1 without a GPU."""
    torch = import_torch()
    if not torch.cuda.is_available():
        print("benchmarks.embeddings_gpu: this machine has no GPU that torch can use.")
        return 1
    clock = Clock(float(arguments[0]) if arguments else 170.0)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}\n", flush=True)
    with tempfile.TemporaryDirectory() as home:
        measured = [attempt(name, partial(measure_model, Path(home), name, clock)) for name in ARCHITECTURES]
    measured.append(attempt("exact matching", partial(match_exactly, torch)))
    return 0 if all(measured) else 1


def attempt(name: str, part: Callable[[], object]) -> bool:
    """Run a part; when it fails say so and let the next one have what time is left."""
    try:
        part()
    except Exception as error:  # noqa: BLE001 -- whatever this machine lacks
        print(f"{name}: not measured. {type(error).__name__}: {str(error)[:500]}\n", flush=True)
        return False
    return True


def measure_model(home: Path, name: str, clock: Clock) -> None:
    path = write_checkpoint(home, name)
    eager = embed_at_each_size(name, path)
    embed_files(name, path)
    attempt(f"{name} with torch.compile", partial(embed_compiled, name, path, eager, clock))


def write_checkpoint(home: Path, name: str) -> Path:
    """A checkpoint in OpenAI's format, half precision as theirs."""
    torch, clip = import_torch(), import_clip()
    torch.manual_seed(0)
    embedding, side, layers, width, patch = ARCHITECTURES[name]
    model = clip.model.CLIP(embedding, side, layers, width, patch, 77, 1000, 64, 1, 1)
    path = home / (name.replace("/", "-") + ".pt")
    torch.save({key: value.half() for key, value in model.state_dict().items()}, path)
    return path


def embed_at_each_size(name: str, path: Path) -> float:
    """Prepared pictures in memory to vectors in memory; returns ours a second at COMPILED_BATCH."""
    print(f"{name:<28}{'clip loop':>12}{'ours':>12}{'times':>8}   pictures/s, prepared in memory", flush=True)
    loaded, loop, kept = load_model(path, device="cuda"), ClipLoop(path), 0.0
    for size in BATCHES:
        model = replace(loaded, batch=size)
        squares = random_squares(max(2 * size, 64), model.preparation.side)
        tensors = loop.tensors(squares, model)
        theirs = a_second(partial(loop.embed, tensors, size), len(squares))
        ours = a_second(partial(model.embed_squares, squares), len(squares))
        kept = ours if size == COMPILED_BATCH else kept
        print(f"  batches of {size:<15}{theirs:>12,.0f}{ours:>12,.0f}{ours / theirs:>8.2f}", flush=True)
    vectors = loop.embed(tensors[:64], 64).astype(np.float64)
    cosines = (vectors * loaded.embed_squares(squares[:64])).sum(axis=1)
    print(f"  least cosine of the two's vectors {cosines.min():.5f}\n", flush=True)
    return kept


class ClipLoop:
    """clip-anytorch as in its README, over pictures that its `preprocess` has turned into tensors already."""

    def __init__(self, path: Path) -> None:
        self.torch = import_torch()
        self.model, _ = import_clip().load(str(path), device="cuda")

    def tensors(self, squares: np.ndarray, model: EmbeddingModel) -> Any:
        made = model.preparation
        mean, deviation = (self.torch.tensor(part).view(3, 1, 1) for part in (made.mean, made.deviation))
        scaled = self.torch.from_numpy(squares).permute(0, 3, 1, 2).float() / 255
        return ((scaled - mean) / deviation).contiguous()

    def embed(self, pictures: Any, size: int) -> np.ndarray:
        vectors = []
        with self.torch.no_grad():
            for start in range(0, len(pictures), size):
                found = self.model.encode_image(pictures[start : start + size].to("cuda"))
                vectors.append((found / found.norm(dim=-1, keepdim=True)).cpu().numpy())
        return np.concatenate(vectors)


def embed_compiled(name: str, path: Path, eager: float, clock: Clock) -> None:
    """The same with torch.compile, where time for it is left."""
    if clock.left() < _COMPILING:
        print(f"{name} with torch.compile: not measured, no time left\n", flush=True)
        return
    model = load_model(path, device="cuda", batch=COMPILED_BATCH, compiled=True)
    squares = random_squares(2 * COMPILED_BATCH, model.preparation.side)
    begun = time.perf_counter()
    model.embed_squares(squares)
    needed = time.perf_counter() - begun
    compiled = a_second(partial(model.embed_squares, squares), len(squares))
    print(
        f"{name}, batches of {COMPILED_BATCH}: {eager:,.0f} pictures/s, with torch.compile {compiled:,.0f} "
        f"({compiled / eager:.2f} times) after {needed:.0f} s\n",
        flush=True,
    )


def embed_files(name: str, path: Path) -> None:
    """JPEG files to vectors, decoding included."""
    torch, clip = import_torch(), import_clip()
    files = jpegs(FILES)
    theirs, preprocess = clip.load(str(path), device="cuda")
    model = load_model(path, device="cuda", batch=64)

    def plain() -> None:
        with torch.no_grad():
            for start in range(0, len(files) // 4, 64):
                pictures = [preprocess(Image.open(io.BytesIO(file))) for file in files[start : start + 64]]
                theirs.encode_image(torch.stack(pictures).to("cuda")).cpu()

    slow, fast = a_second(plain, len(files) // 4), a_second(lambda: model.embed(files), len(files))
    print(f"{name} from JPEG files of 512 px: clip loop {slow:,.0f}, ours {fast:,.0f} pictures/s "
          f"({fast / slow:.2f} times)\n", flush=True)  # fmt: skip


def match_exactly(torch: Any) -> None:
    """Every claim against every item, beside the same in float32 by torch alone."""
    claimed = random_vectors(torch, CLAIMS)
    asked = random_vectors(torch, QUERIES)
    asked[:COPIES] = claimed[:COPIES]
    columns = make_embedding_table(claimed, np.arange(CLAIMS, dtype=np.uint32))
    table = EmbeddingTable.from_columns(columns)
    exact = ExactSearch(table, device="cuda")
    ours = a_second(lambda: exact.search(asked, LEAST), QUERIES)
    whole = exact.vectors.float()

    def plain() -> int:
        found = 0
        for start in range(0, QUERIES, 256):
            queries = torch.from_numpy(asked[start : start + 256]).cuda().float()
            found += len((queries @ whole.T >= LEAST).nonzero().cpu())
        return found

    theirs = a_second(plain, QUERIES)
    found, quick = exact.search(asked, LEAST), table.search(asked, LEAST)
    print(
        f"exact matching, {CLAIMS:,} claims of {DIMENSION} dimensions: {ours:,.0f} queries/s, torch in "
        f"float32 {theirs:,.0f} ({ours / theirs:.1f} times); {len(found.row):,} pairs, torch {plain():,}, by "
        f"codes on the CPU {len(quick.row):,}\n",
        flush=True,
    )


def a_second(work: Callable[[], object], count: int) -> float:
    """How many of `count` a call are done in a second, once warm."""
    work()
    calls, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < _SECONDS:
        work()
        calls += 1
    import_torch().cuda.synchronize()
    return calls * count / (time.perf_counter() - begun)


def random_squares(count: int, side: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


def random_vectors(torch: Any, count: int) -> np.ndarray:
    vectors = torch.randn(count, DIMENSION, device="cuda") + 0.7
    return np.asarray(torch.nn.functional.normalize(vectors).half().cpu())


def jpegs(count: int) -> list[bytes]:
    """Files of smooth colours and some noise, about 60 kB each; sixteen different ones."""
    chance, files = np.random.default_rng(1), []
    for _ in range(16):
        grid = Image.fromarray(chance.integers(0, 256, (12, 12, 3), np.uint8)).resize(
            (512, 512), Image.Resampling.BICUBIC
        )
        noise = chance.normal(0, 6, (512, 512, 3))
        out = io.BytesIO()
        Image.fromarray(np.clip(np.asarray(grid) + noise, 0, 255).astype(np.uint8)).save(
            out, "JPEG", quality=85
        )
        files.append(out.getvalue())
    return [files[at % 16] for at in range(count)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
