"""Objects that every process and machine of the service shares: uploads and published snapshots.

`OPTOUT_STORAGE` names a folder or `s3://bucket/prefix`. Keys are relative paths such as `imports/0197/file`;
an object appears under its key as a whole or not at all.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Protocol, cast
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from django.conf import settings

__all__ = [
    "InvalidKey",
    "LocalStore",
    "ObjectStore",
    "S3Store",
    "current_store",
    "delete",
    "exists",
    "list_keys",
    "open",
    "put",
    "size",
]

_KEY = re.compile(r"[A-Za-z0-9._=-]+(/[A-Za-z0-9._=-]+)*")
_MAX_KEY = 900
_S3_MISSING = {"404", "NoSuchKey", "NotFound"}


class InvalidKey(ValueError):
    """A key that is no plain relative path; it never reaches the disk or the network."""


class ObjectStore(Protocol):
    """What both stores do. Every method raises InvalidKey for a key that is no plain relative path."""

    def put(self, key: str, file: IO[bytes]) -> None:
        """Store what `file` still holds under `key`, replacing what was there."""

    def open(self, key: str) -> IO[bytes]:
        """The object as a binary file, to be closed by the caller. Raises FileNotFoundError."""

    def exists(self, key: str) -> bool:
        """Is there such an object?"""

    def size(self, key: str) -> int:
        """Its bytes. Raises FileNotFoundError."""

    def delete(self, key: str) -> None:
        """Remove it; one that is not there is no error."""

    def list_keys(self, prefix: str = "") -> Iterator[str]:
        """Keys under the folder `prefix`, sorted; "" means all."""


class LocalStore:
    """Objects as files of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, key: str, file: IO[bytes]) -> None:
        """Write beside the final name, sync, rename."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".put.")
        try:
            with os.fdopen(descriptor, "wb") as target:
                shutil.copyfileobj(file, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def open(self, key: str) -> IO[bytes]:
        """The file itself."""
        return self._path(key).open("rb")

    def exists(self, key: str) -> bool:
        """Is there such a file?"""
        return self._path(key).is_file()

    def size(self, key: str) -> int:
        """The file's bytes."""
        return self._path(key).stat().st_size

    def delete(self, key: str) -> None:
        """Remove the file, and the folders that it leaves empty."""
        path = self._path(key)
        path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty: the usual end
            for folder in path.parents:
                if folder == self.folder:
                    break
                folder.rmdir()

    def list_keys(self, prefix: str = "") -> Iterator[str]:
        """Keys of all whole files."""
        start = self._path(prefix) if prefix else self.folder
        files = (path for path in start.rglob("*") if path.is_file() and not path.name.startswith(".put."))
        yield from sorted(path.relative_to(self.folder).as_posix() for path in files)

    def _path(self, key: str) -> Path:
        return self.folder / _checked(key)


class S3Store:
    """Objects of one bucket, below one prefix. Credentials are boto3's own affair."""

    def __init__(self, bucket: str, prefix: str = "", *, endpoint: str = "") -> None:
        self.bucket = bucket
        self.prefix = f"{_checked(prefix)}/" if prefix else ""
        self.client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint or None,
            config=Config(
                connect_timeout=5,
                read_timeout=60,
                retries={"max_attempts": 3, "mode": "standard"},
                s3={"addressing_style": "path"} if endpoint else {},
            ),
        )

    def put(self, key: str, file: IO[bytes]) -> None:
        """Upload, in parts when it is large; the server shows only whole objects."""
        # boto3 closes what it is given, and a caller may want to read the file again.
        self.client.upload_fileobj(cast("IO[bytes]", _Unclosable(file)), self.bucket, self._name(key))

    def open(self, key: str) -> IO[bytes]:
        """A temporary file holding the object, so that readers may seek."""
        target = tempfile.TemporaryFile()  # noqa: SIM115 -- the caller closes it
        try:
            self.client.download_fileobj(self.bucket, self._name(key), target)
        except ClientError as error:
            target.close()
            raise _translated(error, key) from error
        except BaseException:
            target.close()
            raise
        target.seek(0)
        return target

    def exists(self, key: str) -> bool:
        """Asked by HEAD; only a plain "not found" means no."""
        try:
            self.size(key)
        except FileNotFoundError:
            return False
        return True

    def size(self, key: str) -> int:
        """Asked by HEAD."""
        try:
            return int(self.client.head_object(Bucket=self.bucket, Key=self._name(key))["ContentLength"])
        except ClientError as error:
            raise _translated(error, key) from error

    def delete(self, key: str) -> None:
        """S3 itself takes a missing object for deleted."""
        self.client.delete_object(Bucket=self.bucket, Key=self._name(key))

    def list_keys(self, prefix: str = "") -> Iterator[str]:
        """Page by page, in S3's own order, which is the sorted one."""
        start = f"{self._name(prefix)}/" if prefix else self.prefix
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=start):
            for entry in page.get("Contents", []):
                yield entry["Key"].removeprefix(self.prefix)

    def _name(self, key: str) -> str:
        return self.prefix + _checked(key)


class _Unclosable:
    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)


def _checked(key: str) -> str:
    parts = key.split("/")
    if len(key) > _MAX_KEY or not _KEY.fullmatch(key) or any(part.strip(".") == "" for part in parts):
        raise InvalidKey(f"not a key of the object store: {key[:100]!r}")
    if any(part.startswith(".put.") for part in parts):
        raise InvalidKey(f"reserved for half-written objects: {key[:100]!r}")
    return key


def _translated(error: ClientError, key: str) -> Exception:
    code = str(error.response.get("Error", {}).get("Code", ""))
    return FileNotFoundError(f"no such object: {key}") if code in _S3_MISSING else error


@lru_cache(maxsize=8)
def _store(address: str, endpoint: str) -> ObjectStore:
    parts = urlsplit(address)
    if parts.scheme == "s3":
        return S3Store(parts.netloc, parts.path.strip("/"), endpoint=endpoint)
    return LocalStore(Path(address).expanduser().resolve())


def current_store() -> ObjectStore:
    """The store that `OPTOUT_STORAGE` names."""
    return _store(settings.OPTOUT_STORAGE, settings.OPTOUT_S3_ENDPOINT)


def put(key: str, file: IO[bytes]) -> None:
    """Store what `file` still holds under `key`."""
    current_store().put(key, file)


def open(key: str) -> IO[bytes]:
    """The object as a seekable binary file. Raises FileNotFoundError."""
    return current_store().open(key)


def exists(key: str) -> bool:
    """Is there such an object?"""
    return current_store().exists(key)


def size(key: str) -> int:
    """Bytes of the object. Raises FileNotFoundError."""
    return current_store().size(key)


def delete(key: str) -> None:
    """Remove the object, if it is there."""
    current_store().delete(key)


def list_keys(prefix: str = "") -> Iterator[str]:
    """Keys under the folder `prefix`, sorted."""
    return current_store().list_keys(prefix)
