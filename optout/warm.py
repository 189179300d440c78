"""Compiling every kernel once, ahead of time: `python -m optout.warm`.

The machine code is kept on disk, so that whatever runs next, in however many processes, only loads it.
"""

import io
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from optout.embeddings.value import format_embedding
from optout.engine import Items, Question
from optout.exchange import parse_claims
from optout.filter import filter_dataset
from optout.keys import PrivateKey
from optout.snapshot import Manifest, Snapshot, build_snapshot, open_snapshot
from optout.words import Use

__all__ = ["load", "warm"]

_PHASH, _PDQ = "c0371bec1be51267", "8792786c87937064bf1bc0e43f1fc0e03f1cc2e33da4c2537cec821b2ce4f376"
_CLAIMS = {
    "url": "https://example.org/a.jpg",
    "prefix": "https://example.org/gallery",
    "domain": "example.net",
    "name": "Ada Lindqvist",
    "md5": "cd" * 16,
    "picture": f"ofp1:w.{_PHASH}.{_PDQ}.100",
    "phash": _PHASH,
    "pdq": _PDQ,
    "clip": format_embedding("warm", np.eye(1, 64)[0]),
}
_ROW = {
    "URL": "https://i0.wp.com/example.org/a-300x200.jpg?w=1",
    "TEXT": "by Ada Lindqvist",
    "md5": "cd" * 16,
}


def load() -> None:
    """Ask a snapshot in memory, so that a server has the kernels before its first request."""
    nothing = Snapshot(Manifest(sip_key="00" * 16, segments=(), files={}), "", ())
    snapshot, question = nothing.with_overlay(_claims()), Question(use=Use.AI_TRAIN)
    # REST sends large strings, files mostly small ones: each is code of its own.
    for text in (pa.string(), pa.large_string()):
        url, caption = pa.array([_ROW["URL"]], text), pa.array([_ROW["TEXT"]], text)
        items = Items(length=1, url=url, text=caption, md5=pa.array([_ROW["md5"]], text))
        snapshot.explain(items, snapshot.judge(items, question), 0)
    snapshot.check([{kind: _CLAIMS[kind] for kind in ("picture", "phash", "pdq", "clip")}], question)


def warm() -> None:
    """Build, open, ask and filter the smallest data with every kind of selector in it, and hash a picture."""
    load()
    _hash_pictures()
    key = PrivateKey(Ed25519PrivateKey.generate())
    with tempfile.TemporaryDirectory() as home:
        rows, directory = Path(home, "rows.parquet"), Path(home, "snapshot")
        pq.write_table(pa.Table.from_pylist([_ROW]), rows)
        build_snapshot([_claims()], directory, private_key=key)
        snapshot = open_snapshot(directory)
        question = Question(use=Use.AI_TRAIN)
        filter_dataset(rows, Path(home, "out"), snapshot=snapshot, question=question, key=key)


def _hash_pictures() -> None:
    """Two pictures that go through all of the hashing, where what decodes them is installed."""
    try:
        from PIL import Image
    except ImportError:
        return
    from optout.hashes import hash_probes

    for form, gray in (
        ("JPEG", np.add.outer(np.arange(60), np.arange(80)) % 9 * 28),
        ("PNG", np.zeros((40, 40))),
    ):
        file = io.BytesIO()
        Image.fromarray(gray.astype(np.uint8)).save(file, form, progressive=True)
        hash_probes(file.getvalue(), name="warm")


def _claims() -> pa.Table:
    return parse_claims(pa.table({"selector": list(_CLAIMS), "value": list(_CLAIMS.values())})).claims


if __name__ == "__main__":
    warm()
