"""Who published what, and what of it was reserved how."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from demo.pictures import as_jpeg, caption_of, scene

__all__ = ["DIGEST", "DOMAIN", "FREE", "SIZE", "URL", "Work", "claims", "web_pages", "works", "write_rows"]

SIZE = (320, 240)
#: Works by what is claimed about them; of `FREE` nobody claims anything.
DOMAIN, URL, DIGEST, FREE = range(3), range(3, 5), range(5, 7), range(9, 40)
_HOSTS = {**dict.fromkeys(DOMAIN, "dora.example"), **dict.fromkeys(URL, "anna.example")}
_GONE = "http://studio.example/gone.jpg"


@dataclass(frozen=True)
class Work:
    """A picture somewhere on the web.

    Attributes:
        number: its scene.
        url: where a copy of it lies.
        content: the file that lies there.
    """

    number: int
    url: str
    content: bytes


def works() -> list[Work]:
    """All works at the addresses at which a data set lists them."""
    return [_work(number) for number in (*DOMAIN, *URL, *DIGEST, *FREE)]


def _work(number: int) -> Work:
    host = _HOSTS.get(number, "studio.example")
    return Work(number, f"http://{host}/works/{number}.jpg", as_jpeg(scene(number, *SIZE)))


def web_pages() -> dict[str, bytes]:
    """The web of these works."""
    return {work.url: work.content for work in works()}


def claims() -> list[dict[str, str]]:
    """What is reserved before anything is filtered, as rows of the exchange format."""
    deny = {"decision": "deny", "uses": "ai-train"}
    rows = [{"selector": "domain", "value": "dora.example", "owner": "Dora", **deny}]
    rows += [{"selector": "url", "value": _work(number).url, "owner": "Anna", **deny} for number in URL]
    digests = [hashlib.sha256(_work(number).content).hexdigest() for number in DIGEST]
    return rows + [{"selector": "sha256", "value": digest, "owner": "Shaun", **deny} for digest in digests]


def write_rows(path: Path) -> int:
    """The data set as it is published, addresses and captions, one of them dead; how many rows."""
    listed: list[Any] = [(work.url, caption_of(work.number)) for work in works()]
    listed.append((_GONE, "it was here once"))
    urls, texts = zip(*listed, strict=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"URL": pa.array(urls), "TEXT": pa.array(texts)}), path)
    return len(listed)
