"""What is looked up of a picture: its hashes, and its embedding where a model for that is at hand."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

from optout.embeddings import EmbeddingModel, format_embedding
from optout.errors import BadInput
from optout.hashes import hash_probes
from optout.probes import PictureProbes

__all__ = ["Looker", "Seen"]


class Seen(NamedTuple):
    """What was seen of a picture.

    Attributes:
        fingerprint: its hashes as text, "" of what is no picture.
        probes: the hashes in every orientation; None of what is no picture.
        embedding: as the value of a `clip` selector; "" without a model.
    """

    fingerprint: str
    probes: PictureProbes | None
    embedding: str

    @property
    def item(self) -> dict[str, Any]:
        """What `Snapshot.check` is asked."""
        item: dict[str, Any] = {"picture": self.probes} if self.probes is not None else {}
        return item | ({"clip": self.embedding} if self.embedding else {})

    @property
    def selectors(self) -> list[tuple[str, str]]:
        """Kind and value of the selectors by which the picture can be claimed."""
        found = {"picture": self.fingerprint, "clip": self.embedding}
        return [(kind, value) for kind, value in found.items() if value]


@dataclass(frozen=True)
class Looker:
    """Looks at pictures.

    Attributes:
        threads: how many are hashed at once.
        model: for embeddings, or None.
    """

    threads: int
    model: EmbeddingModel | None = None

    def look(self, pictures: Sequence[bytes]) -> list[Seen]:
        """What is seen of each of these files."""
        with ThreadPoolExecutor(self.threads) as pool:
            hashed = list(pool.map(_hashed, pictures))
        if self.model is None:
            return hashed
        good = [at for at, seen in enumerate(hashed) if seen.fingerprint]
        vectors = self.model.embed([pictures[at] for at in good])
        for at, vector in zip(good, vectors, strict=True):
            hashed[at] = hashed[at]._replace(embedding=format_embedding(self.model.record.id, vector))
        return hashed


def _hashed(picture: bytes) -> Seen:
    try:
        found, probes = hash_probes(picture, name="a picture")
    except BadInput as error:
        if error.code == "pictures_not_installed":
            raise
        return Seen("", None, "")
    return Seen(found.fingerprint, probes, "")
