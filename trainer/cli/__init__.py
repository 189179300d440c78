"""The command: `python -m trainer`."""

from trainer.cli.app import main

__all__ = ["main"]
