"""The `optout` command."""

from optout.cli.app import main

__all__ = ["main"]
