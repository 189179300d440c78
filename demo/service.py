"""The registry as a child process: the same `manage.py serve` that a person would start."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "Registry", "running"]

ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 180


@dataclass(frozen=True)
class Registry:
    """A running registry.

    Attributes:
        web: address of the portal, ending in a slash.
        data: its data directory.
        process: the supervisor.
    """

    web: str
    data: Path
    process: subprocess.Popen[bytes]

    def manage(self, *arguments: str) -> str:
        """Run a `manage.py` command against this registry; what it printed."""
        command = [sys.executable, str(ROOT / "manage.py"), *arguments]
        done = subprocess.run(
            command, env=_environment(self.data), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"manage.py {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
        return done.stdout.strip()


def _environment(data: Path) -> dict[str, str]:
    # The demonstration shows the embedded parts, whatever this shell has configured.
    configured = ("DATABASE_URL", "REDIS_URL", "OPTOUT_STORAGE")
    inherited = {name: value for name, value in os.environ.items() if name not in configured}
    return {**inherited, "OPTOUT_DATA": str(data)}


@contextmanager
def running(data: Path) -> Iterator[Registry]:
    """Start a registry under `data`, and stop it in the end."""
    ready = data / "ready.json"
    ready.unlink(missing_ok=True)
    command = [sys.executable, str(ROOT / "manage.py"), "serve", "--quiet", "--ready-file", str(ready)]
    log = data / "serve.log"
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches this process first, which then stops the registry in order.
        process = subprocess.Popen(
            command, env=_environment(data), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        web = _wait_until_ready(process, ready, log)
        yield Registry(web, data, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


def _wait_until_ready(process: subprocess.Popen[bytes], ready: Path, log: Path) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"The registry did not start:\n{log.read_text()[-3000:]}")
        if ready.exists():
            web: str = json.loads(ready.read_text())["web"]
            return web
        time.sleep(0.1)
    raise SystemExit(f"The registry was not ready within {_START_SECONDS} seconds; see {log}")
