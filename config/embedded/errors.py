"""What can go wrong with the embedded services."""

__all__ = ["EmbeddedError"]


class EmbeddedError(Exception):
    """An embedded service cannot start; the message says why and what to do."""
