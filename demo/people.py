"""The example parties and what each of them claims, said through the portal, the API and an import."""

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq

from demo import laion
from demo.browser import Visitor
from demo.service import Registry
from optout.filter.columns import find_columns
from optout.filter.settings import ColumnNames

__all__ = [
    "CREATORS",
    "SETTINGS",
    "Api",
    "Platform",
    "claim_by_creators",
    "claim_by_platform",
    "generated_works",
    "some_of",
]

# The demonstration's whole world: this many works, of which its creators and its platform claim some.
SETTINGS = laion.Rows(works=40_000)
CREATORS = laion.ARTISTS[:3]
CLAIMS_EACH = 100
PLATFORM_WORKS = 6_000


class Api:
    """A party's program: an API key, and the calls of the REST API that the demonstration makes."""

    def __init__(self, web: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self.client = httpx.Client(base_url=f"{web}api/v1/", headers=headers, timeout=60)

    def get(self, path: str) -> Any:
        """The JSON that GET answers."""
        return self._answer(self.client.get(path))

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON that POST answers; sent with a fresh Idempotency-Key."""
        return self._answer(self.client.post(path, json=body, headers={"Idempotency-Key": str(uuid.uuid4())}))

    def send_file(self, path: str, file: Path) -> Any:
        """Upload a file as a multipart form."""
        with file.open("rb") as opened:
            answer = self.client.post(
                path, files={"file": (file.name, opened)}, headers={"Idempotency-Key": str(uuid.uuid4())}
            )
        return self._answer(answer)

    @staticmethod
    def _answer(answer: httpx.Response) -> Any:
        if answer.is_error:
            raise SystemExit(
                f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
            )
        return answer.json()


@dataclass(frozen=True)
class Platform:
    """A gallery that speaks for many creators.

    Attributes:
        api: its program.
        accepted: rows of its import that were taken in.
        rejected: rows that were not, each with its reason.
    """

    api: Api
    accepted: int
    rejected: list[dict[str, Any]]


def claim_by_creators(registry: Registry) -> int:
    """Each creator signs up at the portal, opts out there, makes a key, and sends more; how many claims."""
    claims = 0
    for number, name in enumerate(CREATORS):
        visitor = Visitor(registry.web, f"creator{number}@example.org")
        visitor.sign_up(name)
        site = laion.hosts_of(np.array([40 + number], np.uint64))[0].as_py()
        visitor.opt_out(names=name, domains=site, title=f"{name}, all works")
        api = Api(registry.web, visitor.make_key("studio script", ["claims:write", "claims:read"]))
        works = np.arange(number * CLAIMS_EACH, (number + 1) * CLAIMS_EACH, dtype=np.uint64)
        bodies = [_claim(url, work) for work, url in enumerate(laion.work_urls(works).to_pylist())]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(partial(api.post, "claims"), bodies))
        claims += 1 + CLAIMS_EACH
    return claims


def _claim(url: str, work: int) -> dict[str, Any]:
    selectors = [{"kind": "url", "value": url}]
    if work % 10 == 0:
        # Somebody licenses every tenth work: whoever trains on it must follow the terms.
        terms = "https://example.org/licence"
        return {"decision": "terms", "terms_url": terms, "uses": ["ai-train"], "selectors": selectors}
    return {"decision": "deny", "uses": ["ai-train"], "selectors": selectors}


def claim_by_platform(registry: Registry, folder: Path, urls: list[str]) -> Platform:
    """A gallery imports the addresses of thousands of works in one file, a few rows of it broken."""
    secret = registry.manage("create_party", "Galerie Nordlicht", "--kind", "platform")
    api = Api(registry.web, secret)
    file = folder / "galerie-nordlicht.jsonl"
    _write_exchange(file, urls)
    started = api.send_file("imports", file)
    done = _wait_for_import(api, started["id"])
    rejected = api.get(f"imports/{started['id']}/rejections")["results"]
    return Platform(api, done["rows_good"], rejected)


def generated_works() -> list[str]:
    """Addresses of the works that the gallery imports when the rows are generated."""
    first = len(CREATORS) * CLAIMS_EACH
    urls: list[str] = laion.work_urls(np.arange(first, first + PLATFORM_WORKS, dtype=np.uint64)).to_pylist()
    return urls


def some_of(data: Path) -> list[str]:
    """Every hundredth address of somebody's own Parquet file, so that there is something to leave out."""
    file = pq.ParquetFile(data)
    column = find_columns(file.schema_arrow, ColumnNames(), data.name).url
    if column is None:
        return generated_works()
    batch = next(file.iter_batches(batch_size=100 * PLATFORM_WORKS, columns=[column]))
    return [url for url in batch.column(0).to_pylist()[::100] if url]


def _write_exchange(file: Path, urls: list[str]) -> None:
    common = {"decision": "deny", "uses": "ai-train"}
    rows = [
        {"selector": "url", "value": url, "owner": f"member-{at % 200}", "ref": f"w{at}", **common}
        for at, url in enumerate(urls)
    ]
    # Real files have such rows too; they are reported and the rest is taken in.
    rows.insert(1000, {"selector": "domain", "value": "co.uk", "owner": "member-7", **common})
    rows.insert(2000, {"selector": "url", "value": "javascript:alert(1)", "owner": "member-9", **common})
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _wait_for_import(api: Api, number: str) -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        state: dict[str, Any] = api.get(f"imports/{number}")
        if state["state"] == "done":
            return state
        if state["state"] == "failed":
            raise SystemExit(f"The import failed: {state}")
        time.sleep(0.2)
    raise SystemExit("The import did not end within 90 seconds.")
