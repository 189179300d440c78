"""What every test stands on: one PostgreSQL and one Valkey for the whole run, and no network but loopback.

The servers are the embedded ones. The process that starts first (under xdist the controller) starts them and
stops them; should it be killed, the kernel tells them to stop. Each xdist worker has its own database, its
own Valkey number and its own data folder.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import pytest_socket
from django.conf import settings

from config.embedded.postgres import Postgres
from config.embedded.valkey import Valkey
from config.environment import VARIABLES

_COMPILING = 900.0  # seconds; it takes 45 of a processor, and none where nothing has changed
# Tests of the library, of the commands and of their chain need no server.
_PURE = ("unit", "cli", "trainer", "chain")
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_wal_size": "1GB"}


def pytest_configure(config: pytest.Config) -> None:
    """Set the environment before pytest-django, whose own hook runs last, loads the settings."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        for variable in VARIABLES:
            os.environ.pop(variable.name, None)
            os.environ.pop(f"{variable.name}_FILE", None)
        # Workers that inherited it would load the settings before they have an environment of their own.
        os.environ.pop("DJANGO_SETTINGS_MODULE", None)
    if config.getoption("numprocesses", None):
        # Each worker has a core; threads that wait for each other in a loop would take it from the other.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        warming = _compile_kernels()
        _start_services(config)
        assert warming.wait(_COMPILING) == 0
        return
    if worker is None:
        _start_services(config)
    _set_environment(worker)


def _set_environment(worker: str | None) -> None:
    folder = Path(os.environ["OPTOUT_TEST_FOLDER"], worker or "main")
    os.environ["OPTOUT_DATA"] = str(folder)
    os.environ["OPTOUT_EMBEDDED"] = "1"
    os.environ["OPTOUT_URL"] = "http://testserver"
    os.environ["ALLOWED_HOSTS"] = "testserver,localhost,127.0.0.1"
    if worker and "REDIS_URL" in os.environ:
        number = int(worker.removeprefix("gw")) + 1
        os.environ["REDIS_URL"] = os.environ["REDIS_URL"].rsplit("/", 1)[0] + f"/{number}"
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    assert not settings.configured, "the settings were loaded from another environment"
    # Hashed names need `collectstatic`, which only the embedded and the browser tests run.
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}


def _compile_kernels() -> "subprocess.Popen[bytes]":
    """Fill the cache for the workers and for the processes that tests start, within limits of time."""
    return subprocess.Popen([sys.executable, "-m", "optout.warm"], cwd=Path(__file__).parents[1])


def _start_services(config: pytest.Config) -> None:
    # The account of PostgreSQL has to pass through this folder, which is ours, so its mode is ours to choose.
    folder = Path(tempfile.mkdtemp(prefix="optout-tests-"))
    folder.chmod(0o711)
    os.environ["OPTOUT_TEST_FOLDER"] = str(folder)
    config.add_cleanup(lambda: shutil.rmtree(folder))
    if not _needs_services(config):
        return
    services = folder / "services"
    postgres, valkey = Postgres(services, _FAST), Valkey(services)
    config.add_cleanup(postgres.stop)
    config.add_cleanup(valkey.stop)
    with (folder / "services.log").open("ab") as log:
        postgres.start(log)
        valkey.start(log)
    os.environ["DATABASE_URL"] = postgres.url
    os.environ["REDIS_URL"] = valkey.url


def _needs_services(config: pytest.Config) -> bool:
    here = Path(__file__).parent
    pure = tuple(here / name for name in _PURE)
    paths = [
        Path(config.invocation_params.dir, argument.split("::")[0]).resolve() for argument in config.args
    ]
    return not all(any(path.is_relative_to(folder) for folder in pure) for path in paths)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take long, so that no worker is left alone with them at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse every connection that leaves this machine."""
    pytest_socket.socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


def pytest_runtest_teardown() -> None:
    """Give the sockets back to those who clean up after a test."""
    pytest_socket._remove_restrictions()
