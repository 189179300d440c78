"""What can be wrong with a locator."""

from enum import IntEnum

from optout.errors import InvalidSelector

__all__ = ["MAX_BYTES", "InvalidLocator", "LocatorStatus"]

MAX_BYTES = 8192
"""Longer locators are refused, before and after they were made canonical."""


class LocatorStatus(IntEnum):
    """Why a row has no canonical locator; 0 when it has one. The numbers are written into filter outputs."""

    OK = 0
    NULL = 1
    EMPTY = 2
    SCHEME = 3
    HOST = 4
    PORT = 5
    ENCODING = 6
    TOO_LONG = 7

    @property
    def label(self) -> str:
        return self.name.lower()


class InvalidLocator(InvalidSelector):
    """A text is no locator that a claim or a row can have.

    Attributes:
        status: the reason; `code` is its label in lower case.
    """

    def __init__(self, message: str, status: LocatorStatus) -> None:
        super().__init__(message, code=status.label)
        self.status = status
