"""The words of the registry: decisions, uses, selector kinds, grades and outcomes.

Their numbers are stored in snapshots and in the database and never change their meaning.
"""

from enum import IntEnum, IntFlag

__all__ = ["CONTENT_KINDS", "Decision", "Grade", "Outcome", "SelectorKind", "Use"]


class Decision(IntEnum):
    """What a claim says; the larger number is the stricter word."""

    ALLOW = 1
    TERMS = 2
    DENY = 3

    @property
    def label(self) -> str:
        return self.name.lower()


class Use(IntFlag):
    """One bit for each use; `covers` widens a named use to everything below it in the lattice."""

    TDM = 1
    AI_TRAIN = 2
    AI_TRAIN_GENERATIVE = 4
    AI_INPUT = 8
    SEARCH = 16

    @classmethod
    def parse(cls, label: str) -> "Use":
        """The use called `label` (for example `ai-train-generative`).

        Raises:
            ValueError: there is no such use; the message lists those there are.
        """
        try:
            return cls[label.strip().upper().replace("-", "_")]
        except KeyError:
            raise ValueError(
                f"unknown use {label!r}; known uses: {', '.join(use.label for use in cls)}"
            ) from None

    @property
    def label(self) -> str:
        return "+".join(str(use.name).lower().replace("_", "-") for use in type(self) if use & self)

    @property
    def labels(self) -> list[str]:
        """The labels of the single uses in this mask."""
        return [use.label for use in type(self) if use & self]

    @property
    def covered(self) -> "Use":
        """The mask of every use that a claim naming these uses speaks about."""
        wide = self
        if wide & Use.TDM:
            wide |= Use.AI_TRAIN
        if wide & Use.AI_TRAIN:
            wide |= Use.AI_TRAIN_GENERATIVE
        return wide


class SelectorKind(IntEnum):
    """What identifies the things a claim is about."""

    SHA256 = 1
    MD5 = 2
    PICTURE = 3
    PHASH = 4
    PDQ = 5
    CLIP = 6
    URL = 10
    PREFIX = 11
    DOMAIN = 12
    NAME = 13

    @property
    def label(self) -> str:
        return self.name.lower()

    @property
    def specificity(self) -> int:
        """0 for the most specific: content, then url, prefix, domain, name."""
        return 0 if self in CONTENT_KINDS else int(self) - 9

    @classmethod
    def parse(cls, label: str) -> "SelectorKind":
        """The kind called `label`.

        Raises:
            ValueError: there is no such kind; the message lists those there are.
        """
        try:
            return cls[label.strip().upper()]
        except KeyError:
            raise ValueError(
                f"unknown selector kind {label!r}; known kinds: {', '.join(kind.label for kind in cls)}"
            ) from None


CONTENT_KINDS = frozenset(
    {
        SelectorKind.SHA256,
        SelectorKind.MD5,
        SelectorKind.PICTURE,
        SelectorKind.PHASH,
        SelectorKind.PDQ,
        SelectorKind.CLIP,
    }
)


class Grade(IntEnum):
    """How well a claim is evidenced."""

    STATED = 0
    VOUCHED = 1
    DOMAIN_PROVEN = 2
    SIGNED_CREDENTIALS = 3
    OPERATOR_CHECKED = 4


class Outcome(IntEnum):
    """What the registry answers about one item for one use."""

    UNRESERVED = 0
    ALLOWED = 1
    TERMS = 2
    DENIED = 3
    ERROR = 4

    @property
    def label(self) -> str:
        return self.name.lower()
