"""Who published what, and what of it was reserved how."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from demo.pictures import COPIES, as_jpeg, caption_of, scene
from optout.hashes import hash_picture

__all__ = [
    "DIGEST",
    "DOMAIN",
    "FREE",
    "PICTURE",
    "SIZE",
    "URL",
    "Work",
    "claim_by_hash",
    "claims",
    "url_of",
    "web_pages",
    "works",
    "write_rows",
]

SIZE = (320, 240)
#: Works by what is claimed about them; of `FREE` nobody claims anything.
DOMAIN, URL, DIGEST, PICTURE, FREE = range(3), range(3, 5), range(5, 7), range(7, 10), range(10, 40)
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
    everything = [_work(number) for number in (*DOMAIN, *URL, *DIGEST, *FREE)]
    return everything + [_copy(*pair) for pair in zip(PICTURE, COPIES, strict=False)]


def _copy(number: int, form: str) -> Work:
    """What others made of a picture, on a site that its creator never heard of."""
    return Work(number, f"http://pinboard.example/{number}.jpg", COPIES[form](_original(number)))


def _original(number: int) -> Image.Image:
    return scene(number, 640, 480)


def url_of(number: int) -> str:
    """Where a work hangs that is no copy."""
    return f"http://{_HOSTS.get(number, 'studio.example')}/works/{number}.jpg"


def _work(number: int) -> Work:
    return Work(number, url_of(number), as_jpeg(scene(number, *SIZE)))


def web_pages() -> dict[str, bytes]:
    """The web of these works."""
    return {work.url: work.content for work in works()}


def claims() -> list[dict[str, str]]:
    """What is reserved before anything is filtered, as rows of the exchange format."""
    deny = {"decision": "deny", "uses": "ai-train"}
    rows = [{"selector": "domain", "value": "dora.example", "owner": "Dora", **deny}]
    rows += [{"selector": "url", "value": _work(number).url, "owner": "Anna", **deny} for number in URL]
    digests = [hashlib.sha256(_work(number).content).hexdigest() for number in DIGEST]
    rows += [{"selector": "sha256", "value": digest, "owner": "Shaun", **deny} for digest in digests]
    return rows + [claim_by_hash(number, "Pia") for number in PICTURE]


def claim_by_hash(number: int, owner: str) -> dict[str, str]:
    """A claim on a picture, wherever it is, by whoever has the original."""
    text = hash_picture(as_jpeg(_original(number), 95)).fingerprint
    return {"selector": "picture", "value": text, "owner": owner, "decision": "deny", "uses": "ai-train"}


def write_rows(path: Path) -> int:
    """The data set as it is published, addresses and captions, one of them dead; how many rows."""
    listed: list[Any] = [(work.url, caption_of(work.number)) for work in works()]
    listed.append((_GONE, "it was here once"))
    urls, texts = zip(*listed, strict=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"URL": pa.array(urls), "TEXT": pa.array(texts)}), path)
    return len(listed)
