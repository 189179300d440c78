"""A whole web server of its own, with a PostgreSQL and a Valkey that a test may stop."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from config.embedded.postgres import Postgres
from config.embedded.process import free_port, wait_until
from config.embedded.valkey import Valkey

ROOT = Path(__file__).resolve().parents[2]
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# Two parties with a key each, printed in this order.
MAKE_KEYS = """
from registry.actor import Actor
from registry.services.keys import create_key
from registry.services.parties import create_party
for name in ("Gallery", "Pipeline"):
    scopes = ["check", "claims:read", "claims:write", "snapshots:read"]
    print(create_key(acting=Actor(create_party(None, "organisation", name)), name="test", scopes=scopes)[1])
"""
BUILD = "from registry.services.snapshots import build_current; build_current()"


@dataclass
class Stack:
    """A running server, its parts and two keys."""

    url: str
    postgres: Postgres
    valkey: Valkey
    environment: dict[str, str]
    gallery: str = ""
    pipeline: str = ""

    def client(self, secret: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        return httpx.Client(base_url=f"{self.url}/api/v1/", headers=headers, timeout=20, trust_env=False)

    def manage(self, *arguments: str) -> str:
        """What a management command says on its output."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    def shell(self, code: str) -> list[str]:
        """Run `code` in the registry's environment; the lines it prints."""
        return self.manage("shell", "--no-imports", "-c", code).split()


@contextmanager
def running(folder: Path) -> Iterator[Stack]:
    """A prepared database, Valkey and one gunicorn worker under `folder`."""
    folder.chmod(0o711)
    postgres, valkey = Postgres(folder, FAST), Valkey(folder)
    try:
        postgres.start()
        valkey.start()
        port = free_port()
        stack = Stack(
            f"http://127.0.0.1:{port}", postgres, valkey, _environment(folder, postgres, valkey, port)
        )
        stack.manage("prepare", "--verbosity=0")
        stack.gallery, stack.pipeline = stack.shell(MAKE_KEYS)
        with _gunicorn(stack, folder):
            yield stack
    finally:
        valkey.stop()
        postgres.stop()


def _environment(folder: Path, postgres: Postgres, valkey: Valkey, port: int) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "OPTOUT_DATA": str(folder / "data"),
        "OPTOUT_EMBEDDED": "1",
        "DATABASE_URL": postgres.url,
        "REDIS_URL": valkey.url,
        "OPTOUT_PORT": str(port),
        "OPTOUT_URL": f"http://127.0.0.1:{port}",
        "OPTOUT_WEB_WORKERS": "1",
        "OPTOUT_LOG_LEVEL": "ERROR",
    }


@contextmanager
def _gunicorn(stack: Stack, folder: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "gunicorn", "-c", "python:config.gunicorn", "config.wsgi"]
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=stack.environment, stdout=log, stderr=log)
    try:
        assert wait_until(lambda: _answers(stack), seconds=60), (folder / "web.log").read_text()
        yield
    finally:
        process.terminate()
        process.wait(10)


def _answers(stack: Stack) -> bool:
    try:
        with stack.client(stack.pipeline) as client:
            return client.post("check", json={"urls": []}).status_code == 200
    except httpx.HTTPError:
        return False
