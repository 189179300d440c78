"""What samples may do to a run: bad ones are skipped, counted and named; the order is that of the seed."""

import io
import itertools
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from optout import keys
from optout.errors import BadInput
from optout.filter.atomic import sha256_of
from tests.trainer.support import Ran, picture, samples, tiny, write_receipt, write_tar
from trainer.data.files import CoveredFiles
from trainer.data.history import History
from trainer.data.pictures import Size, buckets_of, decode, nearest_bucket
from trainer.data.shards import BadSample, Shard, find_shards
from trainer.data.stream import Place, Stream
from trainer.settings import Data

Command = Callable[..., Ran]


def shards_of(folder: Path) -> list[Shard]:
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return find_shards(CoveredFiles(folder, {name: sha256_of(folder / name) for name in names}))


def names_of(stream: Stream, count: int, place: Place = Place()) -> list[list[str]]:
    batches = stream.batches(place)
    found = [[sample.name for sample in batch.samples] for batch in itertools.islice(batches, count)]
    batches.close()
    return found


def flat(names: list[list[str]]) -> list[str]:
    return list(itertools.chain.from_iterable(names))


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def test_bad_samples_are_skipped_counted_and_named(
    trainer: Command, signer: Path, tmp_path: Path, private: keys.PrivateKey
) -> None:
    bomb = io.BytesIO()
    Image.new("1", (4000, 4000)).save(bomb, "PNG")
    good, data = samples(8), tmp_path / "data"
    bad = [
        ("text", b"no picture at all", "a lie"),
        ("cut", cut(picture("red", (64, 64), "JPEG")), "half a picture"),
        ("empty", b"", "nothing"),
        ("bomb", bomb.getvalue(), "too many pixels"),
    ]
    odd = [("silent", picture("red"), "  \n"), ("long", picture("blue"), "word " * 100_000)]
    write_tar(data / "00000.tar", [*good, *bad, *odd])
    write_receipt(data, private)
    out = tmp_path / "model"
    where = ("--data", data, "--trust", signer / "public.pem", "--out", out, "--json")
    settings = ("data.max_pixels=1_000_000", "data.caption_dropout=0.0")
    ran = trainer("train", *where, "--steps", 5, *tiny(*settings))
    assert ran.code == 0, ran.err
    assert (ran.json["skipped"], ran.json["distinct"]) == (4, 10)
    assert ran.json["notes"] == {"captions cut at their length": 2, "empty captions": 2}
    card = (out / "README.md").read_text()
    for name in ("text", "cut", "empty", "bomb"):
        assert f"`00000.tar:{name}`" in card
    assert "4000x4000 pixels" in card


def test_data_of_bad_samples_alone_stops_the_run(
    trainer: Command, signer: Path, tmp_path: Path, private: keys.PrivateKey
) -> None:
    data = tmp_path / "data"
    write_tar(data / "00000.tar", [("one", b"junk", "a"), ("two", b"junk", "b")])
    write_receipt(data, private)
    where = ("--data", data, "--trust", signer / "public.pem", "--out", tmp_path / "model", "--json")
    ran = trainer("train", *where, "--steps", 1, *tiny())
    assert (ran.code, ran.json["error"]["code"]) == (3, "no_samples")
    assert "00000.tar:" in ran.json["error"]["message"]


def test_a_tar_that_breaks_off_gives_what_came_before(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "00000.tar", samples(8))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    shard = shards_of(tmp_path)[0]
    assert 2 <= len(shard.open()) < 8
    shard.close()
    path.write_bytes(b"no tar" * 1000)
    with pytest.raises(BadInput, match=r"00000\.tar is not a tar"):
        shards_of(tmp_path)[0].open()


def test_captions_come_from_text_then_json_and_broken_json_is_named(tmp_path: Path) -> None:
    def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))

    with tarfile.open(tmp_path / "00000.tar", "w") as archive:
        for name, content in (
            ("a.jpg", picture("red")),
            ("a.json", b'{"caption": "from json"}'),
            ("b.jpg", picture("red")),
            ("b.json", b'{"caption": "from json"}'),
            ("b.txt", b"from text"),
            ("c.jpg", picture("red")),
            ("d.jpg", picture("red")),
            ("d.json", b'{"caption": '),
            ("e.txt", b"words without a picture"),
            ("../f.jpg", picture("red")),
            ("g.tif", picture("red", form="TIFF")),
            ("g.caption", b"another ending"),
            ("g.mask.png", picture("red")),
        ):
            add(archive, name, content)
    shard = shards_of(tmp_path)[0]
    assert shard.open() == ["a", "b", "c", "d", "../f", "g"]
    assert [shard.read(index).caption for index in range(3)] == ["from json", "from text", ""]
    assert shard.read(5).caption == "another ending"
    with pytest.raises(BadSample, match=r"00000\.tar:d: its JSON cannot be read"):
        shard.read(3)
    shard.close()


def test_a_folder_of_pictures_is_read_with_its_captions(
    trainer: Command, signer: Path, tmp_path: Path, private: keys.PrivateKey
) -> None:
    data = tmp_path / "pictures"
    (data / "sub").mkdir(parents=True)
    for name, colour in (("one.png", "red"), ("two.PNG", "blue"), ("sub/three.png", "green")):
        (data / name).write_bytes(picture(colour))
    (data / "one.txt").write_text("a red square")
    (data / "sub" / "metadata.jsonl").write_text('{"file_name": "three.png", "text": "a green square"}\n')
    read = {raw.name: raw.caption for shard in shards_of(data) for raw in map(shard.read, range(3))}
    assert read == {"one.png": "a red square", "two.PNG": "", "sub/three.png": "a green square"}
    write_receipt(data, private)
    where = ("--data", data, "--trust", signer / "public.pem", "--out", tmp_path / "model", "--json")
    ran = trainer("train", *where, "--steps", 2, *tiny())
    assert (ran.code, ran.json["distinct"]) == (0, 3)


def test_captions_of_folders_are_read_from_every_table_that_the_filter_reads(tmp_path: Path) -> None:
    for name in ("lines", "csv", "parquet", "json", "broken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "one.png").write_bytes(picture("red"))
    (tmp_path / "lines" / "metadata.jsonl").write_text('{"file_name": "one.png", "text": "from lines"}\n')
    (tmp_path / "csv" / "metadata.csv").write_bytes(
        b'\xef\xbb\xbffile_name,text\r\none.png,"from\nCSV, too"\r\n'
    )
    table = pa.table({"file_name": ["one.png"], "other": [1], "TEXT": ["from Parquet"]})
    pq.write_table(table, tmp_path / "parquet" / "metadata.parquet")
    (tmp_path / "json" / "one.json").write_text('{"caption": "from JSON"}')
    (tmp_path / "broken" / "metadata.parquet").write_bytes(b"PAR1")
    (shard,) = shards_of(tmp_path)
    names = shard.open()
    captions = {names[at]: shard.read(at).caption for at in range(1, 5)}
    assert captions == {
        "csv/one.png": "from\nCSV, too",
        "json/one.png": "from JSON",
        "lines/one.png": "from lines",
        "parquet/one.png": "from Parquet",
    }
    for _ in range(2):
        with pytest.raises(BadSample, match=r"broken/metadata\.parquet cannot be read"):
            shard.read(0)


def test_every_epoch_is_another_order_of_all_samples(filtered: Path) -> None:
    stream = Stream(shards_of(filtered), Data(resolution=16), batch=8, seed=0)
    names = names_of(stream, 6)
    first, second = flat(names[:3]), flat(names[3:])
    assert sorted(first) == sorted(second)
    assert len(set(first)) == 24
    assert first != second
    assert names == names_of(stream, 6)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("buckets", [False, True])
def test_any_place_goes_on_with_the_same_batches(tmp_path: Path, workers: int, buckets: bool) -> None:
    shapes = [(16, 16), (32, 16), (16, 32)]
    for shard in range(3):
        content = [(f"{i:03d}", picture("red", shapes[i % 3]), f"{i}") for i in range(10)]
        write_tar(tmp_path / f"{shard:05d}.tar", content)
    settings = Data(resolution=16, aspect_buckets=buckets, workers=workers, window=2, flip=True)
    stream = Stream(shards_of(tmp_path), settings, batch=4, seed=3)
    batches = list(itertools.islice(stream.batches(), 16))
    for at in (0, 4, 7, 11):
        rest = list(itertools.islice(stream.batches(batches[at].place), 15 - at))
        for one, other in zip(batches[at + 1 :], rest, strict=True):
            assert [sample.name for sample in one.samples] == [sample.name for sample in other.samples]
            assert [sample.caption for sample in one.samples] == [sample.caption for sample in other.samples]
            assert np.array_equal(one.pixels, other.pixels)


def test_processes_share_the_samples_out(filtered: Path) -> None:
    settings = Data(resolution=16)
    shards = shards_of(filtered)
    parts = [Stream(shards, settings, batch=4, seed=0, rank=rank, world=2) for rank in range(2)]
    ones, others = (flat(names_of(part, 3)) for part in parts)
    assert not set(ones) & set(others)
    assert len(set(ones) | set(others)) == 24


def test_buckets_have_the_area_of_the_square() -> None:
    sizes = buckets_of(512, 64)
    assert Size(512, 512) in sizes
    assert all(size.width % 64 == size.height % 64 == 0 for size in sizes)
    assert all(0.7 < size.width * size.height / 512**2 <= 1 for size in sizes)
    assert nearest_bucket(Size(4000, 2000), sizes).width > 600
    assert nearest_bucket(Size(999, 1000), sizes) == Size(512, 512)


def test_pictures_are_upright_opaque_and_cut_at_the_middle() -> None:
    turned = Image.new("RGB", (20, 10), "red")
    turned.paste("blue", (0, 0, 10, 10))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    turned.save(buffer, "PNG", exif=exif)
    pixels = decode(buffer.getvalue(), [Size(8, 16)], max_pixels=1000)
    assert pixels.shape == (16, 8, 3)
    assert pixels[2, 4].tolist() == [0, 0, 255]
    assert pixels[13, 4].tolist() == [255, 0, 0]
    buffer = io.BytesIO()
    Image.new("RGBA", (16, 16), (255, 0, 0, 0)).save(buffer, "PNG")
    assert (decode(buffer.getvalue(), [Size(8, 8)], max_pixels=1000) == 255).all()
    wide = Image.new("RGB", (32, 8), "green")
    wide.paste("white", (12, 0, 20, 8))
    buffer = io.BytesIO()
    wide.save(buffer, "PNG")
    assert (decode(buffer.getvalue(), [Size(8, 8)], max_pixels=1000)[:, 1:-1] > 200).all()


def test_greys_of_16_bits_are_scaled_and_postscript_is_no_picture() -> None:
    grey = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG")
    pixels = decode(buffer.getvalue(), [Size(16, 16)], max_pixels=1000)
    assert (pixels[..., 0] == grey // 256).all()
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "EPS")
    with pytest.raises(BadSample, match="UnidentifiedImageError"):
        decode(buffer.getvalue(), [Size(8, 8)], max_pixels=1000)


def test_history_knows_what_was_seen(filtered: Path) -> None:
    shards = shards_of(filtered)
    history = History(shard.name for shard in shards)
    batches = Stream(shards, Data(resolution=16), batch=6, seed=0).batches()
    names = set()
    for batch in itertools.islice(batches, 2):
        history.add(batch)
        names |= {sample.name for sample in batch.samples}
    batches.close()
    other = History(shard.name for shard in shards)
    other.restore(history.as_json())
    seen = {f"{shard}:{index:09d}" for shard, numbers in other.seen() for index in numbers}
    assert seen == names
    assert (other.distinct, other.pictures) == (12, 12)
    other.merge(history.as_json())
    assert (other.distinct, other.pictures) == (12, 24)
