"""The API over HTTP: the unmodified `datadiligence` client, and `check` with a thousand URLs.

python -m benchmarks.http [thousands of opted-out URLs]

The peer is the same client in the same process against a server that returns canned answers: the ratio says
what the registry costs beyond the client itself.
"""

import http.client
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import orjson
import pyarrow.parquet as pq

from benchmarks import common
from demo import laion
from optout import keys
from optout.exchange import read_claims
from optout.snapshot import build_snapshot

CHUNK = 10_000  # what datadiligence sends in a request
CHUNKS = 20
RUNS = 5
SNAPSHOT = "bench"


class Canned(BaseHTTPRequestHandler):
    """Answers every chunk of CHUNK URLs with the same bytes: the fastest server there could be."""

    protocol_version = "HTTP/1.1"
    body = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def serve_canned(urls_file: Path) -> None:
    """Print the port, then answer until killed; runs in a process of its own, as the registry does."""
    urls = json.loads(urls_file.read_text())
    entries = [{"url": url, "optIn": False, "optOut": False} for url in urls]
    Canned.body = orjson.dumps({"urls": entries})
    server = ThreadingHTTPServer(("127.0.0.1", 0), Canned)
    print(server.server_address[1], flush=True)
    server.serve_forever()


@contextmanager
def canned(urls_file: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.http", "--canned", str(urls_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/"
        process.kill()


def prepare_snapshot(data: Path, urls: int) -> None:
    """A signed snapshot of `urls` opted-out URLs and 100,000 domains, beside the registry's own."""
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    keys.generate(data / "keys")
    key = keys.load_private(data / "keys" / "private.pem")
    tables = (batch.claims for batch in read_claims(common.claims(urls)))
    build_snapshot(tables, data / SNAPSHOT, private_key=key)


def publish() -> None:
    """Give the registry the snapshot and a party with a key, print the key; runs in its environment."""
    import django

    django.setup()
    from django.conf import settings

    from optout.snapshot import open_snapshot
    from registry.actor import Actor
    from registry.locks import BUILDING, session_lock
    from registry.models import SnapshotRecord
    from registry.services.keys import create_key
    from registry.services.parties import create_party
    from registry.services.snapshots import build_current

    source, target = Path(settings.DATA, SNAPSHOT), Path(settings.DATA, "snapshots", SNAPSHOT)
    manifest = open_snapshot(source).manifest
    record = SnapshotRecord(
        digest=manifest.digest,
        checkpoint=0,
        claims=sum(segment.claims for segment in manifest.segments),
        selectors=sum(manifest.counts.values()),
        size_bytes=0,
        seconds=0,
        directory=SNAPSHOT,
        object_prefix=f"snapshots/{SNAPSHOT}",
        manifest=json.loads(manifest.to_bytes()),
    )
    # After the snapshot of nothing that a new registry makes, and not while it clears its folder up.
    build_current()
    while True:
        with session_lock(BUILDING) as alone:
            if alone and SnapshotRecord.objects.exists():
                source.rename(target)
                record.save(force_insert=True)
                break
        time.sleep(0.2)
    actor = Actor(create_party(None, "organisation", "Benchmark"))
    print(create_key(acting=actor, name="bench", scopes=["check"])[1])


@contextmanager
def registry(data: Path) -> Iterator[tuple[str, str]]:
    """The registry as `make run` starts it, on a free port: its address and a key."""
    ready = data / "ready.json"
    environment = {**os.environ, "OPTOUT_DATA": str(data), "OPTOUT_PORT": "0", "OPTOUT_LOG_LEVEL": "WARNING"}
    command = [sys.executable, "manage.py", "serve", "--quiet", "--ready-file", str(ready)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        while not ready.exists():
            if process.poll() is not None:
                raise SystemExit("the registry does not start")
            time.sleep(0.1)
        made = subprocess.run(
            [sys.executable, "-m", "benchmarks.http", "--publish"],
            env={**environment, "DJANGO_SETTINGS_MODULE": "config.settings"},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        yield json.loads((data / "run" / "status.json").read_text())["web"], made.stdout.split()[-1]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def client_rate(urls: list[str], address: str) -> float:
    """URLs/s of the unmodified client."""
    import datadiligence
    from datadiligence.rules import SpawningAPI

    SpawningAPI.SPAWNING_AI_API_URL = address
    begun = time.perf_counter()
    allowed = datadiligence.is_allowed(urls=urls)
    seconds = time.perf_counter() - begun
    if len(allowed) != len(urls):
        raise SystemExit("the client did not get an answer for every URL")
    return len(urls) / seconds


def check_seconds(address: str, key: str, urls: list[str], requests: int = 100) -> list[float]:
    """Seconds of each of some `POST check` with `urls`, one after the other on one connection."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    taken = []
    for _ in range(requests):
        begun = time.perf_counter()
        connection.request("POST", "/api/v1/check", orjson.dumps({"urls": urls}), headers)
        answer = orjson.loads(connection.getresponse().read())
        taken.append(time.perf_counter() - begun)
        if len(answer.get("answers", ())) != len(urls):
            raise SystemExit(f"not an answer: {str(answer)[:300]}")
    connection.close()
    return taken


def compare(urls: list[str], address: str, peer: str) -> tuple[float, float]:
    """Median URLs/s of the client against the registry and against canned answers, taken in turn."""
    client_rate(urls, address)  # every worker has to have loaded its kernels
    ours, theirs = [], []
    for _ in range(RUNS):
        theirs.append(client_rate(urls, peer))
        ours.append(client_rate(urls, address))
    return statistics.median(ours), statistics.median(theirs)


def main(claimed: int) -> int:
    """Measure and report; 1 when an aim was missed."""
    data = (common.HOME / "http").resolve()
    prepare_snapshot(data, claimed)
    urls = pq.read_table(common.dataset(CHUNK * CHUNKS), columns=["URL"])["URL"].to_pylist()
    urls_file = data / "urls.json"
    urls_file.write_text(json.dumps(urls[:CHUNK]))
    # Every tenth of a thousand URLs is an opted-out one: those have to be explained.
    mixed = [*urls[:900], *laion.work_urls(np.arange(100, dtype=np.uint64)).to_pylist()]
    report = common.Report(f"The API over HTTP, {claimed:,} opted-out URLs and 100,000 domains")
    with registry(data) as (address, key), canned(urls_file) as peer:
        os.environ["SPAWNING_OPTS_KEY"] = key
        ours, theirs = compare(urls, f"{address}api/v2/query/urls/", peer)
        report.add("datadiligence, canned answers", f"{theirs:,.0f} URLs/s")
        report.add("datadiligence, the registry", f"{ours:,.0f} URLs/s", ratio=ours / theirs, aim=0.7)
        for name, asked in (("nothing opted out", urls[:1000]), ("a tenth opted out", mixed)):
            seconds = statistics.median(check_seconds(address, key, asked))
            report.at_most(f"POST check, 1,000 URLs, {name}", 1000 * seconds, 25, "ms")
            report.at_least(f"POST check, {name}", len(asked) / seconds, 50_000, "URLs/s")
    return 0 if report.show() else 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--canned", path]:
            serve_canned(Path(path))
        case ["--publish"]:
            publish()
        case []:
            sys.exit(main(1_000_000))
        case [thousands]:
            sys.exit(main(int(thousands) * 1000))
