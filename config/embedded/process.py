"""Child processes that never outlive us, and the account they run under."""

import ctypes
import os
import pwd
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypedDict

from config.embedded.errors import EmbeddedError

__all__ = [
    "Account",
    "Child",
    "Signals",
    "account_for",
    "as_account",
    "free_port",
    "is_port_free",
    "spawn",
    "stop_all",
    "wait_until",
]

_PR_SET_PDEATHSIG = 1
_QUIET_PORTS = range(20_000, 32_768)
_libc = ctypes.CDLL(None, use_errno=True)
Child = subprocess.Popen[bytes]
Signals = Sequence[tuple[signal.Signals, float]]


@dataclass(frozen=True)
class Account:
    """A system account; `None` in its place means our own."""

    name: str
    uid: int
    gid: int


def account_for(data: Path) -> Account | None:
    """Who PostgreSQL, which refuses root, runs as: ourselves, or as root the owner of `data`, else `nobody`.

    Raises:
        EmbeddedError: we are root and the system has no such account.
    """
    if os.geteuid() != 0:
        return None
    owner = data.stat().st_uid if data.exists() else 0
    with suppress(KeyError):
        if owner:
            return _account(pwd.getpwuid(owner))
    try:
        return _account(pwd.getpwnam("nobody"))
    except KeyError:
        raise EmbeddedError(
            "PostgreSQL does not run as root and this system has no account `nobody`."
        ) from None


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def spawn(
    arguments: Sequence[str | Path],
    *,
    account: Account | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    output: int | IO[bytes] | None = subprocess.DEVNULL,
    on_parent_death: signal.Signals = signal.SIGTERM,
    keep: Sequence[int] = (),
) -> Child:
    """Start a child in a session of its own, so that a terminal's Ctrl-C reaches it through us only.

    The kernel sends it `on_parent_death` when the calling thread ends, however that happens: call this from
    a thread that lives as long as the child should. `keep` are file descriptors that stay open in the child.
    """
    return subprocess.Popen(
        [str(argument) for argument in arguments],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        env=None if env is None else dict(env),
        cwd=cwd,
        start_new_session=True,
        pass_fds=keep,
        preexec_fn=_die_with_parent(os.getpid(), on_parent_death),
        **as_account(account),
    )


class RunAs(TypedDict, total=False):
    """Arguments of `subprocess` that choose the account of a child."""

    user: int
    group: int
    extra_groups: list[int]


def as_account(account: Account | None) -> RunAs:
    """The arguments that run a child as `account`; none for ourselves."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def _die_with_parent(parent: int, number: signal.Signals) -> Callable[[], None]:
    # Runs between fork and exec, after the change of account (which would clear the setting).
    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return prepare


def free_port(preferred: int = 0) -> int:
    """A loopback TCP port that is free now: `preferred` if it is, else any.

    Outgoing connections are given ports from 32768 on; one below those stays free until a server takes it.
    """
    chosen = (secrets.choice(_QUIET_PORTS) for _ in range(100))
    found = next((port for port in (preferred, *chosen) if port and is_port_free(port)), 0)
    if found:
        return found
    with closing(socket.socket(socket.AF_INET)) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def is_port_free(port: int) -> bool:
    """Could a server listen on that loopback port now?"""
    with closing(socket.socket(socket.AF_INET)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def wait_until(ready: Callable[[], bool], *, seconds: float, child: Child | None = None) -> bool:
    """Ask `ready` until it says yes; False when the time is up or `child` has ended."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline or (child is not None and child.poll() is not None):
            return False
        time.sleep(0.02)
    return True


def stop_all(children: Sequence[tuple[Child, Signals]]) -> None:
    """Send each child its signals in turn, with the seconds to wait after each; then kill what is left.

    The children stop side by side, and with each goes whatever else lives in its session.
    """
    plans = [_Stopping(child, list(signals)) for child, signals in children]
    while any(plan.goes_on() for plan in plans):
        time.sleep(0.02)
    for child, _ in children:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


@dataclass
class _Stopping:
    child: Child
    signals: list[tuple[signal.Signals, float]]
    deadline: float = 0.0

    def goes_on(self) -> bool:
        """Send the next signal when its time has come; False when the child has ended or none is left."""
        if self.child.poll() is not None:
            return False
        if time.monotonic() < self.deadline:
            return True
        if not self.signals:
            return False
        number, seconds = self.signals.pop(0)
        self.child.send_signal(number)
        self.deadline = time.monotonic() + seconds
        return True
