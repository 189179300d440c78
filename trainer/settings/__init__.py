"""The one typed file that describes a run, and how it is read, overridden and written."""

from trainer.settings.load import load_settings, override, settings_from
from trainer.settings.schema import (
    Data,
    Ema,
    Lora,
    Model,
    Objective,
    Optimizer,
    Output,
    Run,
    Settings,
    Validation,
)
from trainer.settings.template import template

__all__ = [
    "Data",
    "Ema",
    "Lora",
    "Model",
    "Objective",
    "Optimizer",
    "Output",
    "Run",
    "Settings",
    "Validation",
    "load_settings",
    "override",
    "settings_from",
    "template",
]
