"""Torch and what stands on it, loaded so that it works on this machine.

A torchvision built for another torch (the registry's is for CUDA) breaks `import transformers` beside a CPU
torch: its registration of operators fails. We use none of them, so only then a placeholder stands in.
"""

import importlib
import os
import sys
import types

# The tokenizers' own threads and a fork do not go together, and ours are quick enough.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Everything is local: nothing is looked up anywhere.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch

__all__ = ["hush", "load_torchvision", "set_threads"]

_REGISTRATIONS = "torchvision._meta_registrations"


def load_torchvision() -> None:
    """Import torchvision if it is there, without its operators if those do not fit this torch."""
    try:
        importlib.import_module("torchvision")
    except ImportError:
        return
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.modules[_REGISTRATIONS] = types.ModuleType(_REGISTRATIONS)
        importlib.import_module("torchvision")


def set_threads(wanted: int) -> int:
    """Pin torch to a number of threads (0: one for each core that is free now); returns it.

    More threads than free cores make a step many times slower: each waits for the one that got no core.
    """
    cores = len(os.sched_getaffinity(0))
    free = max(1, round(cores - os.getloadavg()[0]))
    count = wanted or min(cores, free)
    torch.set_num_threads(count)
    return count


def hush() -> None:
    """No progress bars and no advice of the libraries': the display is ours."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for logging in (diffusers_logging, transformers_logging):
        logging.disable_progress_bar()
        logging.set_verbosity_error()
