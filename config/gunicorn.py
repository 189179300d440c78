"""How gunicorn runs the site: one loaded copy of code and kernels, shared by forked workers with threads."""

import ctypes
import gc
import os
from contextlib import suppress

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker
from prometheus_client import multiprocess

from config.environment import Environment
from optout.warm import load

_env = Environment()
# People and pipelines wait for answers, so no statement may take for ever. Set before Django loads.
os.environ.setdefault("OPTOUT_STATEMENT_TIMEOUT", "15")
os.environ.setdefault("OPTOUT_LOCK_TIMEOUT", "5")

_host = _env.text("OPTOUT_HOST")
_address = f"[{_host}]" if ":" in _host else _host
# The supervisor hands over a socket that already listens; without one we listen ourselves.
_listener = os.environ.get("OPTOUT_LISTENER", "")
bind = f"fd://{_listener}" if _listener else f"{_address}:{_env.integer('OPTOUT_PORT')}"
worker_class = "gthread"
workers = _env.integer("OPTOUT_WEB_WORKERS", least=1)
threads = _env.integer("OPTOUT_WEB_THREADS", least=1)
preload_app = True
timeout = 120
graceful_timeout = 3
keepalive = 15
control_socket_disable = True
# Only the proxies counted by NUM_PROXIES speak for others, and Django looks at those.
forwarded_allow_ips = ""


# Bodies are about a megabyte, and glibc gives memory of that size back to the kernel after each use. With
# mallopt's M_MMAP_THRESHOLD and M_TRIM_THRESHOLD it keeps some; workers inherit that. Only glibc has mallopt.
with suppress(OSError, AttributeError):
    _libc = ctypes.CDLL(None)
    _libc.mallopt(-3, 32 << 20)
    _libc.mallopt(-1, 64 << 20)


def when_ready(server: Arbiter) -> None:
    """Load the kernels once for the workers that will be forked, and leave all that out of their garbage."""
    load()
    gc.freeze()


def child_exit(server: Arbiter, worker: Worker) -> None:
    """Forget the gauges of a worker that has ended."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
