"""`optout hash` on files and folders."""

import json
import multiprocessing
import os
import pty
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from optout.errors import OptoutError
from optout.hashes import hash_picture, parse_fingerprint
from optout.hashing.files import find_pictures, hash_files
from tests.cli.command_support import Ran, finish, start
from tests.unit.hashing_support import JPEGS, luma_of, pdq_by_pdqhash, phash_by_imagehash

Command = Callable[..., Ran]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, one of them broken, a text, and what is passed by without a word."""
    home = tmp_path / "pictures"
    for name in ("b/two.JPG", "a/one.jpg", ".hidden/three.jpg"):
        (home / name).parent.mkdir(parents=True)
        shutil.copy(JPEGS[-1], home / name)
    (home / "broken.png").write_bytes(b"no picture")
    (home / "notes.txt").write_text("not looked at")
    (home / ".dot.jpg").write_bytes(b"")
    (home / "gone.jpg").symlink_to("nowhere")
    os.mkfifo(home / "pipe.jpg")
    return home


def lines_of(ran: Ran) -> list[dict[str, object]]:
    return [json.loads(line) for line in ran.out.splitlines()]


def test_it_prints_what_the_libraries_print(optout: Command, tmp_path: Path) -> None:
    luma = luma_of(JPEGS[0])
    path = tmp_path / "gray.png"
    Image.fromarray(luma).save(path)
    [found] = lines_of(optout("hash", path, "--json"))
    whole = found["views"][0]  # type: ignore[index]
    assert whole["phash"] == phash_by_imagehash(luma)
    assert (whole["pdq"], whole["quality"]) == pdq_by_pdqhash(luma)
    assert parse_fingerprint(str(found["fingerprint"])) == hash_picture(path).views
    shown = optout("hash", path).out
    assert whole["phash"] in shown
    assert whole["pdq"] in shown
    assert str(found["fingerprint"]) in shown


def test_folders_are_walked_in_order(optout: Command, folder: Path) -> None:
    ran = optout("hash", folder, "--json")
    lines = lines_of(ran)
    assert [line["path"] for line in lines] == [
        str(folder / name) for name in ("broken.png", "a/one.jpg", "b/two.JPG")
    ]
    assert ran.code == 3
    assert lines[0]["error"]["code"] == "not_a_picture"  # type: ignore[index]
    assert lines[1]["fingerprint"] == lines[2]["fingerprint"]
    assert "1 files not named like pictures" in ran.err


def test_a_file_that_is_named_is_hashed_whatever_its_name(optout: Command, tmp_path: Path) -> None:
    path = tmp_path / "picture.dat"
    shutil.copy(JPEGS[0], path)
    assert lines_of(optout("hash", path, "--json"))[0]["sha256"] == hash_picture(path).sha256


def test_a_folder_without_pictures_is_a_mistake(optout: Command, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    ran = optout("hash", tmp_path, "--json")
    assert (ran.code, ran.json["error"]["code"]) == (3, "no_pictures")


def test_a_name_that_is_no_text_is_hashed_and_shown(optout: Command, tmp_path: Path) -> None:
    path = Path(os.fsdecode(bytes(tmp_path) + b"/\xff.jpg"))
    shutil.copy(JPEGS[0], path)
    assert "\N{REPLACEMENT CHARACTER}.jpg" in optout("hash", path).out
    path.write_bytes(b"broken")
    ran = optout("hash", path, "--json")
    assert "?.jpg" in ran.err
    assert lines_of(ran)[0]["path"] == str(path)


def test_several_processes_give_what_one_gives_in_the_same_order(tmp_path: Path) -> None:
    for number in range(50):
        shutil.copy(JPEGS[number % 3], tmp_path / f"{number:02}.jpg")
    (tmp_path / "31.jpg").write_bytes(JPEGS[0].read_bytes()[:5000])
    paths = find_pictures([tmp_path]).pictures
    one, two = list(hash_files(paths, processes=1)), list(hash_files(paths, processes=2))
    assert [found.path for found in two] == paths
    assert [repr(found.outcome) for found in two] == [repr(found.outcome) for found in one]
    assert "31.jpg" in str(two[31].outcome)


def test_a_killed_worker_is_told_of(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    paths = [pipe, *[JPEGS[0]] * 40]
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(lambda: list(hash_files(paths, processes=2)))
        # The worker that has the pipe waits for something to be written to it.
        writer = _write_end(pipe)
        for worker in multiprocessing.active_children():
            worker.kill()
        with pytest.raises(OptoutError, match=r"pipe\.jpg and what follows") as caught:
            waiting.result(timeout=60)
    os.close(writer)
    assert caught.value.code == "worker_killed"


def _write_end(pipe: Path) -> int:
    """A pipe can only be opened for writing at once when somebody reads it."""
    while True:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.05)


def test_the_bar_is_on_the_terminal_and_the_lines_where_they_are_sent(folder: Path) -> None:
    terminal, ours = pty.openpty()
    process = start("hash", folder, "--json", stderr=ours)
    os.close(ours)
    shown = b""
    while part := _read(terminal):
        shown += part
    ran = finish(process)
    assert len(lines_of(ran)) == 3
    assert b"pictures" in shown
    assert b"broken.png" in shown


def _read(terminal: int) -> bytes:
    """What a terminal shows next; nothing once the other side is closed."""
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def test_names_do_not_steer_the_terminal(optout: Command, tmp_path: Path) -> None:
    bad = tmp_path / "in"
    bad.mkdir()
    shutil.copy(JPEGS[0], bad / "fine\x1b[31m.jpg")
    (bad / "broken\x1b[2J\r.jpg").write_bytes(b"none")
    ran = optout("hash", bad)
    assert ran.code == 3
    assert not {"\x1b", "\r"} & set(ran.out + ran.err)
    assert ("fine" in ran.out, "broken" in ran.err) == (True, True)
    assert lines_of(optout("hash", bad, "--json"))[1]["path"] == str(bad / "fine\x1b[31m.jpg")


def test_photographs_that_are_not_read_are_named(optout: Command, folder: Path) -> None:
    (folder / "phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 99)
    ran = optout("hash", folder)
    assert ran.code == 3
    assert "phone.HEIC is not a picture that can be decoded: it is HEIC" in ran.err


def test_pillow_says_nothing_beside_the_errors(tmp_path: Path) -> None:
    (tmp_path / "cut.tif").write_bytes(b"II*\0\x08\0\0\0\xff\xff" + b"\0" * 10)
    ran = finish(start("hash", tmp_path / "cut.tif"))
    assert (ran.code, ran.err.count("\n")) == (3, 1), ran.err


def test_a_full_disk_behind_standard_output_is_said(tmp_path: Path) -> None:
    shutil.copy(JPEGS[0], tmp_path / "a.jpg")
    for more in ((), ("--json",)):
        with Path("/dev/full").open("w") as full:
            ran = finish(start("hash", tmp_path / "a.jpg", *more, stdout=full))
        assert (ran.code, ran.err) == (3, "optout: cannot write the output: No space left on device\n")


def test_a_terminal_without_the_letters_of_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    shutil.copy(JPEGS[0], tmp_path / "\N{CJK UNIFIED IDEOGRAPH-4E2D}.jpg")
    ran = finish(start("hash", tmp_path))
    assert (ran.code, "?.jpg" in ran.out) == (0, True), ran.err
