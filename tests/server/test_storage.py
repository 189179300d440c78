"""The object store: the same promises kept by a folder and by a real S3 server."""

import io
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from botocore.exceptions import ClientError
from pytest_django import Settings

from registry import storage
from registry.storage import InvalidKey, LocalStore, ObjectStore, S3Store
from tests.server.seaweed import ACCESS_KEY, SECRET_KEY, Seaweed, seaweed


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seaweed]:
    with seaweed(tmp_path_factory.mktemp("seaweed")) as server:
        server.make_bucket("objects")
        yield server


@pytest.fixture(params=["folder", "s3"])
def store(
    request: pytest.FixtureRequest, s3_server: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ObjectStore:
    if request.param == "folder":
        return LocalStore(tmp_path / "objects")
    _sign_in(monkeypatch, SECRET_KEY)
    return S3Store("objects", f"tests/{tmp_path.name}", endpoint=s3_server.endpoint)


def _sign_in(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def _read(store: ObjectStore, key: str) -> bytes:
    with store.open(key) as file:
        return file.read()


def test_what_is_put_is_read_back_and_replaced(store: ObjectStore) -> None:
    store.put("imports/1/file.jsonl", io.BytesIO(b"first"))
    assert _read(store, "imports/1/file.jsonl") == b"first"
    store.put("imports/1/file.jsonl", io.BytesIO(b"second one"))
    assert _read(store, "imports/1/file.jsonl") == b"second one"
    assert store.size("imports/1/file.jsonl") == 10
    assert store.exists("imports/1/file.jsonl")


def test_large_objects_arrive_whole_and_can_be_searched(store: ObjectStore) -> None:
    content = bytes(range(256)) * (40 << 10)  # 10 MiB: more than one part
    store.put("snapshots/big.arrow", io.BytesIO(content))
    with store.open("snapshots/big.arrow") as file:
        file.seek(-5, io.SEEK_END)
        assert file.read() == content[-5:]
        file.seek(0)
        assert file.read() == content


def test_the_given_file_is_read_from_where_it_stands_and_left_open(store: ObjectStore) -> None:
    file = io.BytesIO(b"head body")
    file.seek(5)
    store.put("part", file)
    assert _read(store, "part") == b"body"
    assert not file.closed


def test_deleting_twice_is_no_error(store: ObjectStore) -> None:
    store.put("a/b/c", io.BytesIO(b"x"))
    store.delete("a/b/c")
    store.delete("a/b/c")
    assert not store.exists("a/b/c")
    assert list(store.list_keys()) == []


@pytest.mark.parametrize("ask", [LocalStore.open, LocalStore.size], ids=["open", "size"])
def test_a_missing_object_is_a_missing_file(store: ObjectStore, ask: object) -> None:
    with pytest.raises(FileNotFoundError):
        getattr(store, ask.__name__)("no/such/object")  # type: ignore[attr-defined]


def test_keys_are_listed_in_order_below_a_folder(store: ObjectStore) -> None:
    for key in ("s/2/b", "s/10/a", "s/2/a", "other"):
        store.put(key, io.BytesIO(b"x"))
    assert list(store.list_keys()) == ["other", "s/10/a", "s/2/a", "s/2/b"]
    assert list(store.list_keys("s/2")) == ["s/2/a", "s/2/b"]
    assert list(store.list_keys("nothing")) == []


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "../up", "a/../../up", "a//b", "a/", ".", "..", "a/./b", "a\\b", "a\0b", "a b", "ä",
     "s3://x/y", ".put.x", "a/.put.x", "x" * 901, "a\n"],
)  # fmt: skip
def test_a_key_that_is_no_plain_path_never_leaves_the_program(store: ObjectStore, key: str) -> None:
    for act in (store.open, store.exists, store.size, store.delete):
        with pytest.raises(InvalidKey):
            act(key)
    with pytest.raises(InvalidKey):
        store.put(key, io.BytesIO(b"x"))


def test_a_wrong_secret_is_refused_and_is_not_taken_for_a_missing_object(
    s3_server: Seaweed, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sign_in(monkeypatch, "wrong")
    store = S3Store("objects", endpoint=s3_server.endpoint)
    with pytest.raises(ClientError):
        store.exists("anything")
    with pytest.raises(ClientError):
        store.open("anything")


class _Failing(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise OSError("the disk is gone")


def test_an_interrupted_put_leaves_the_old_object(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "objects")
    store.put("kept", io.BytesIO(b"old"))
    with pytest.raises(OSError, match="the disk is gone"):
        store.put("kept", _Failing())
    assert _read(store, "kept") == b"old"
    assert [path.name for path in store.folder.iterdir()] == ["kept"]


def test_readers_never_see_half_an_object(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    contents = [bytes([letter]) * 300_000 for letter in b"ab"]
    store.put("x", io.BytesIO(contents[0]))

    def write() -> None:
        for turn in range(30):
            store.put("x", io.BytesIO(contents[turn % 2]))

    writer = Thread(target=write)
    writer.start()
    while writer.is_alive():
        assert _read(store, "x") in contents
    writer.join()


def test_the_setting_names_the_store(
    settings: Settings, s3_server: Seaweed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sign_in(monkeypatch, SECRET_KEY)
    settings.OPTOUT_STORAGE = str(tmp_path / "here")
    storage.put("a/b", io.BytesIO(b"x"))
    assert (tmp_path / "here" / "a" / "b").read_bytes() == b"x"
    assert storage.exists("a/b")
    assert storage.size("a/b") == 1
    assert list(storage.list_keys("a")) == ["a/b"]
    with storage.open("a/b") as file:
        assert file.read() == b"x"
    storage.delete("a/b")
    assert not storage.exists("a/b")
    settings.OPTOUT_STORAGE, settings.OPTOUT_S3_ENDPOINT = "s3://objects/deep/prefix", s3_server.endpoint
    remote = storage.current_store()
    assert isinstance(remote, S3Store)
    assert (remote.bucket, remote.prefix) == ("objects", "deep/prefix/")
