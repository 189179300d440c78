"""`manage.py serve`: which services there are, in which order they start, and what the person is told."""

import errno
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from config.embedded import postgres as postgres_module
from config.embedded import valkey as valkey_module
from config.embedded.errors import EmbeddedError
from config.embedded.output import Output, tail
from config.embedded.postgres import Postgres
from config.embedded.process import Child, Signals, spawn, wait_until
from config.embedded.record import services_file, write_private, write_services
from config.embedded.supervisor import Service, Supervisor
from config.embedded.valkey import Valkey

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Plan", "serve"]

_ROOT = Path(__file__).resolve().parents[2]
_WEB_SIGNALS = ((signal.SIGTERM, 3.0), (signal.SIGQUIT, 0.5))
# SIGTERM lets running tasks finish; SIGQUIT hands what is left back to the queue.
_WORKER_SIGNALS = ((signal.SIGTERM, 2.5), (signal.SIGQUIT, 1.5))
_HASHING_KIB = 2 << 20
_BEAT_SIGNALS = ((signal.SIGTERM, 2.0),)


@dataclass(frozen=True)
class Plan:
    """What to run; made from the settings.

    Attributes:
        data: the data directory.
        database, valkey: is the bundled server to be started, because none is configured?
        embedded: is this embedded mode, with a mail page?
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        port_is_wish: another free port will do when `port` is taken.
        task_workers: Celery processes.
        hash_workers: Celery processes that hash and fetch pictures.
        clip_devices: devices that embed pictures, "" the best one; none when the registry has no model.
        quiet: keep what children say to the logs.
        ready_file: written, with the addresses, once everything answers.
    """

    data: Path
    database: bool
    valkey: bool
    embedded: bool
    host: str
    port: int
    port_is_wish: bool
    task_workers: int
    hash_workers: int = 1
    clip_devices: Sequence[str] = ()
    quiet: bool = False
    ready_file: Path | None = None


def serve(plan: Plan) -> None:
    """Run everything until a signal says stop.

    Raises:
        EmbeddedError: something does not start; what did is stopped again.
    """
    with _exclusive(plan.data):
        _Serving(plan).run()


class _Serving:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.output = Output(plan.data / "log", shown=not plan.quiet)
        self.supervisor = Supervisor(self._output_of, self._say, self._write_status)
        self.addresses: dict[str, str] = {}
        self.metrics = plan.data / "run" / "metrics"

    def run(self) -> None:
        self._listen()
        self.supervisor.listen()
        shutil.rmtree(self.metrics, ignore_errors=True)
        self.metrics.mkdir(parents=True)
        self._forget()
        try:
            for step in (self._start_servers, self._prepare, self._start_processes, self._announce):
                if self.supervisor.stopping.is_set():
                    return
                step()
            self.supervisor.run()
        finally:
            self._close()

    def _close(self) -> None:
        self._forget()
        self.supervisor.stop()
        self.listener.close()
        self.output.close()
        self._say("Everything has stopped.")

    def _forget(self) -> None:
        """Remove what tells others that we run; a killed predecessor may have left it."""
        for path in (services_file(self.plan.data), self._status_file, self.plan.ready_file):
            if path is not None:
                path.unlink(missing_ok=True)

    def _start_servers(self) -> None:
        plan = self.plan
        if plan.database:
            self._say("Starting PostgreSQL ...")
            postgres = Postgres(plan.data)
            self._say_where(postgres)
            self._add_server("postgres", postgres, postgres_module.STOP_SIGNALS)
        if plan.valkey:
            self._say("Starting Valkey ...")
            self._add_server("valkey", Valkey(plan.data), valkey_module.STOP_SIGNALS)

    def _add_server(self, name: str, server: Postgres | Valkey, signals: Signals) -> None:
        def start(output: IO[bytes]) -> Child:
            try:
                child = server.start(output)
            except EmbeddedError as error:
                raise EmbeddedError(f"{error}\n{tail(self.output.folder / f'{name}.log')}") from None
            self._record("database" if name == "postgres" else "valkey", server.url)
            return child

        self.supervisor.add(Service(name, start, signals))

    def _record(self, key: str, url: str) -> None:
        """Write the address down; when it is another than before, those who read the old one start again."""
        changed = self.addresses.get(key, url) != url
        self.addresses[key] = url
        write_services(self.plan.data, self.addresses)
        if changed:
            for service in self.supervisor.services:
                if service.stage and service.child is not None:
                    service.child.terminate()

    def _prepare(self) -> None:
        self._say("Preparing the database and the static files ...")
        log = self.output.log("prepare")
        with log:
            child = spawn(_manage("prepare"), cwd=_ROOT, output=log, env=self._environment())
            child.wait()  # Ctrl-C is heard afterwards: a migration is not cut short
        if child.returncode:
            said = tail(self.output.folder / "prepare.log", 40)
            raise EmbeddedError(f"The database or the static files could not be prepared:\n{said}")

    def _start_processes(self) -> None:
        # Celery warns of root, which is how the person chose to run everything.
        mute = "ignore:You're running the worker with superuser"
        celery = [sys.executable, "-W", mute, "-m", "celery", "-A", "workers.celery", "--quiet"]
        worker = [*celery, "worker", "--without-gossip", "--without-mingle", "-Q"]
        tasks = [*worker, "default,imports,snapshots", "-c", str(self.plan.task_workers), "-n", "tasks@%h"]
        # A child that a picture made large is replaced.
        hashing = [*worker, "hashing,fetching", "-c", str(self.plan.hash_workers), "-n", "hashing@%h"]
        hashing += ["--max-memory-per-child", str(_HASHING_KIB)]
        beat = [*celery, "beat", "-s", str(self.plan.data / "run" / "beat"), "--pidfile="]
        web = [sys.executable, "-m", "gunicorn", "-c", "python:config.gunicorn", "config.wsgi"]
        self._say("Starting the web server, the workers and the clock ...")
        self._add_process("worker", tasks, _WORKER_SIGNALS)
        self._add_process("hashing", hashing, _WORKER_SIGNALS)
        for number, device in enumerate(self.plan.clip_devices):
            # One process a device, and no fork of it: a GPU does not survive one.
            embedding = [*worker, "embedding", "--pool", "solo", "-n", f"embedding-{number}@%h"]
            self._add_process(f"embedding-{number}", embedding, _WORKER_SIGNALS, OPTOUT_CLIP_DEVICES=device)
        self._add_process("beat", beat, _BEAT_SIGNALS)
        self._add_process("web", web, _WEB_SIGNALS)

    def _add_process(self, name: str, command: list[str], signals: Signals, **more: str) -> None:
        def start(output: IO[bytes]) -> Child:
            keep = [self.listener.fileno()] if name == "web" else []
            env = {**self._environment(), **more}
            return spawn(command, cwd=_ROOT, output=output, env=env, keep=keep)

        self.supervisor.add(Service(name, start, signals, stage=1))

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "OPTOUT_DATA": str(self.plan.data),
            "OPTOUT_LISTENER": str(self.listener.fileno()),
            "PROMETHEUS_MULTIPROC_DIR": str(self.metrics),
            "PYTHONUNBUFFERED": "1",
        }

    def _listen(self) -> None:
        """Take the port for good: the web server inherits it, and while it restarts, connections wait."""
        plan = self.plan
        self.listener = socket.socket(socket.AF_INET6 if ":" in plan.host else socket.AF_INET)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self.listener.bind((plan.host, plan.port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not plan.port_is_wish:
                why = f"{error.strerror}; set OPTOUT_PORT (0 takes a free one)"
                raise EmbeddedError(f"Cannot listen on {plan.host}, port {plan.port}: {why}.") from None
            self.listener.bind((plan.host, 0))
        self.listener.listen(1024)
        host = f"[{plan.host}]" if ":" in plan.host else plan.host
        self.addresses["web"] = f"http://{host}:{self.listener.getsockname()[1]}/"

    def _announce(self) -> None:
        if not wait_until(self._answers_or_stopping, seconds=240):
            raise EmbeddedError(f"The web server does not answer; see {self.output.folder / 'web.log'}")
        if self.supervisor.stopping.is_set():
            return
        web = self.addresses["web"]
        lines = {"Portal": web, "API and docs": f"{web}api/docs/", "Admin": f"{web}admin/"}
        if self.plan.embedded:
            lines["Mail page"] = f"{web}mail/   (sign-in codes arrive here)"
        lines["Data"] = str(self.plan.data)
        block = "\n".join(f"  {name:<14}{value}" for name, value in lines.items())
        self._say(f"\nThe Optout Registry is running.\n\n{block}\n\nCtrl-C stops everything.\n")
        if self.plan.ready_file is not None:
            public = {"web": web, "pid": os.getpid(), "data": str(self.plan.data)}
            write_private(self.plan.ready_file, json.dumps(public) + "\n")

    def _answers_or_stopping(self) -> bool:
        self.supervisor.tend()
        return self.supervisor.stopping.is_set() or _answers(f"{self.addresses['web']}readyz")

    def _say_where(self, postgres: Postgres) -> None:
        if postgres.account is not None:
            self._say(f"  as root, so under the account {postgres.account.name}")
        if not postgres.home.is_relative_to(self.plan.data):
            self._say(f"  which cannot reach {self.plan.data}, so the database lies in {postgres.home}")

    def _output_of(self, name: str) -> IO[bytes]:
        return self.output.log(name) if name in {"postgres", "valkey"} else self.output.shared(name)

    @property
    def _status_file(self) -> Path:
        return self.plan.data / "run" / "status.json"

    def _write_status(self, services: Sequence[Service]) -> None:
        children = {
            service.name: {"pid": service.child.pid, "starts": service.starts}
            for service in services
            if service.child is not None
        }
        status = {"supervisor": os.getpid(), "web": self.addresses["web"], "children": children}
        write_private(self._status_file, json.dumps(status, indent=2) + "\n")

    def _say(self, text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


@contextmanager
def _exclusive(data: Path) -> "Iterator[None]":
    path = data / "run" / "lock"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise EmbeddedError(
                f"{data} is in use by a running registry (process {file.read().strip() or 'unknown'}). "
                "Stop that one, or set OPTOUT_DATA to another folder."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _manage(*arguments: str) -> list[str]:
    return [sys.executable, str(_ROOT / "manage.py"), *arguments]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 -- our own http address
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
