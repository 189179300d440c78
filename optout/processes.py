"""What worker processes of the command have in common."""

import multiprocessing
import os
import signal
import threading
import warnings

__all__ = ["follow_parent", "quiet_pillow"]


def follow_parent() -> None:
    """Let a worker end at once on Ctrl-C, and when the process that started it is gone.

    Ctrl-C reaches every process of the terminal: the parent tells the story.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def quiet_pillow() -> None:
    """Let Pillow say nothing beside the errors, which have what it says of broken files."""
    warnings.filterwarnings("ignore", module="PIL")


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
