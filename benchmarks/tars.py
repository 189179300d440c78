"""WebDataset tars: rewriting against webdataset's reader and writer, and what filtering adds to hashing."""

import io
import json
import shutil
import sys
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import webdataset
from webdataset import tariterators

from benchmarks.common import HOME, Report, Spent, in_rounds, median_ratio, one_core
from benchmarks.pictures import jpeg, photographs
from optout import keys
from optout.engine import Question
from optout.exchange import parse_claims
from optout.filter import filter_shard
from optout.filter.tar import open_archive
from optout.hashes import View, format_fingerprint, hash_probes
from optout.snapshot import Snapshot, build_snapshot, open_snapshot
from optout.words import Use

SAMPLES = 2_000
#: As many of them are hashed.
HASHED = 400
#: What img2dataset makes when nothing else is said, and what hashes are measured on.
SIDES = (256, 512)
ONE_IN = 20
CLAIMED_PICTURES = 100_000
ROUNDS = 5
PEER = "webdataset's reader and TarWriter"
COPY = "headers and copy of what is kept"
OURS, PROVEN = "filter by URL", "filter by URL, digests for a receipt"
WHOLE = "filter by picture and URL, digests for a receipt"
QUESTION = Question(Use.AI_TRAIN, datetime(2026, 1, 1, tzinfo=UTC))


def url_of(number: int) -> str:
    return f"https://host{number % 997}.example.org/pictures/{number}.jpg"


def claimed(number: int) -> bool:
    return number % ONE_IN == 0


def samples(count: int, side: int) -> Iterator[tuple[str, bytes]]:
    """The members of a tar as img2dataset writes it: photographs of many qualities, captions, JSON."""
    pictures = photographs((side, side))
    for number in range(count):
        picture = pictures[number % len(pictures)].rotate(number % 360)
        stated = {"url": url_of(number), "caption": f"picture {number}", "key": f"{number:09d}"}
        more = {"status": "success", "width": side, "height": side, "exif": "{}"}
        yield f"{number:09d}.jpg", jpeg(picture)
        yield f"{number:09d}.txt", stated["caption"].encode()
        yield f"{number:09d}.json", json.dumps(stated | more).encode()


def tar_of(count: int, side: int) -> Path:
    """A tar of so many samples, made once and kept."""
    path = HOME / "tars" / f"{count}-{side}.tar"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with tarfile.open(part, "w") as archive:
            for name, content in samples(count, side):
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        part.rename(path)
    return path


def random_fingerprints(count: int) -> list[str]:
    """Fingerprints of pictures that nobody has."""
    rng = np.random.default_rng(3)
    phash = rng.integers(0, 1 << 64, count, np.uint64)
    pdq = rng.integers(0, 1 << 64, (count, 4), np.uint64)
    words = ("".join(f"{word:016x}" for word in row) for row in pdq.tolist())
    return [
        format_fingerprint((View("whole", f"{short:016x}", long, 100),))
        for short, long in zip(phash.tolist(), words, strict=True)
    ]


def snapshot_of(name: str, selectors: dict[str, list[str]]) -> Snapshot:
    """A snapshot of one owner's claims."""
    folder = HOME / "tars" / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(folder.with_suffix(".keys"), ignore_errors=True)
    table = pa.table(
        {
            "selector": [kind for kind, values in selectors.items() for _ in values],
            "value": [value for values in selectors.values() for value in values],
        }
    )
    build_snapshot(
        [parse_claims(table).claims], folder, private_key=keys.generate(folder.with_suffix(".keys"))
    )
    return open_snapshot(folder)


def rewrite_by_webdataset(source: Path, out: Path) -> None:
    """Read samples and write those that nobody claimed, the pictures as bytes."""
    wanted = {url_of(number) for number in range(SAMPLES) if claimed(number)}
    with source.open("rb") as file, webdataset.TarWriter(str(out), encoder=False) as writer:
        members = tariterators.tar_file_expander([{"url": str(source), "stream": file}])
        for sample in tariterators.group_by_keys(members):
            if json.loads(sample["json"])["url"] not in wanted:
                writer.write({name: value for name, value in sample.items() if name != "__url__"})


def rewrite_by_tarfile(source: Path, out: Path) -> None:
    """Copy the members of those that nobody claimed."""
    with tarfile.open(source) as archive, tarfile.open(out, "w") as written:
        for member in archive:
            if not claimed(int(member.name.split(".")[0])):
                written.addfile(member, archive.extractfile(member))


def copy_kept(source: Path, out: Path) -> None:
    """Our walk over the headers and the copy of what is kept, with nothing asked."""
    with open_archive(source, source.name) as archive:
        kept = (each for each in archive.members if not claimed(int(each.name.split(".")[0])))
        archive.copy(((each.start, each.end) for each in kept), out)


def hash_all(source: Path) -> None:
    with open_archive(source, source.name) as archive:
        for member in archive.members:
            if member.name.endswith(".jpg"):
                hash_probes(archive.read(member), name=member.name)


def check(source: Path, snapshot: Snapshot, folder: Path) -> None:
    """What is measured is right: both keep the same samples, and ours byte for byte."""
    ours, theirs = folder / "ours.tar", folder / "theirs.tar"
    filter_shard(source, ours, snapshot, QUESTION)
    rewrite_by_webdataset(source, theirs)
    found = []
    for path in (ours, theirs):
        with tarfile.open(path) as archive:
            found.append({each.name: archive.extractfile(each).read() for each in archive})  # type: ignore[union-attr]
    if found[0] != found[1] or len(found[0]) != 3 * (SAMPLES - SAMPLES // ONE_IN):
        raise SystemExit(f"{source}: the rewritten tars differ")


def rewriting(report: Report, folder: Path, side: int) -> None:
    source = tar_of(SAMPLES, side)
    urls = [url_of(number) for number in range(SAMPLES) if claimed(number)]
    snapshot = snapshot_of("by-url", {"url": urls})
    check(source, snapshot, folder)
    out = folder / "out.tar"
    spent = in_rounds(
        {
            PEER: lambda: rewrite_by_webdataset(source, out),
            "tarfile": lambda: rewrite_by_tarfile(source, out),
            "plain copy of the file": lambda: shutil.copyfile(source, out),
            COPY: lambda: copy_kept(source, out),
            OURS: lambda: filter_shard(source, out, snapshot, QUESTION, prove=False),
            PROVEN: lambda: filter_shard(source, out, snapshot, QUESTION),
        },
        ROUNDS,
        before=lambda: out.unlink(missing_ok=True),
    )
    size = source.stat().st_size / SAMPLES / 1e3
    for name, times in spent.items():
        report.add(f"{side} px, {size:.0f} kB: {name}", rates(times, SAMPLES))
    for name in (COPY, OURS, PROVEN):
        ratio = median_ratio([each.cpu for each in spent[PEER]], [each.cpu for each in spent[name]])
        report.add(f"{side} px: {name}", "", ratio=ratio, aim=10.0 if name == COPY else None)


def hashing(report: Report, folder: Path, side: int) -> None:
    source = tar_of(HASHED, side)
    selectors = {
        "url": [url_of(number) for number in range(HASHED) if claimed(number)],
        "picture": random_fingerprints(CLAIMED_PICTURES),
    }
    snapshot = snapshot_of("by-picture", selectors)
    spent = in_rounds(
        {
            "hash_probes alone": lambda: hash_all(source),
            WHOLE: lambda: filter_shard(source, folder / "out.tar", snapshot, QUESTION),
        },
        ROUNDS,
    )
    for name, times in spent.items():
        report.add(f"{side} px: {name}", rates(times, HASHED))
    alone, whole = ([each.cpu for each in times] for times in spent.values())
    report.at_most(
        f"{side} px: whole filter, of the time of hashing", median_ratio(whole, alone), 1.15, "times"
    )


def rates(times: list[Spent], count: int) -> str:
    """Samples a second of CPU time, and by the clock, which waits for the disk."""
    elapsed, cpu = median(each.elapsed for each in times), median(each.cpu for each in times)
    return f"{count / cpu:,.0f} samples/s ({count / elapsed:,.0f} by the clock)"


def main() -> int:
    """Measure, print the table; 1 when a figure falls short of its aim."""
    one_core()
    folder = HOME / "tars"
    report = Report(
        f"WebDataset tars: {SAMPLES:,} samples, one in {ONE_IN} claimed; CPU time, medians of {ROUNDS} rounds"
    )
    for side in SIDES:
        rewriting(report, folder, side)
    for side in SIDES:
        hashing(report, folder, side)
    return 0 if report.show() else 1


if __name__ == "__main__":
    sys.exit(main())
