"""Django's view of the domain app."""

from typing import Any

import structlog
from django.apps import AppConfig
from django.http import HttpRequest
from django_structlog.signals import bind_extra_request_metadata


class RegistryConfig(AppConfig):
    name = "registry"
    label = "registry"
    verbose_name = "Registry"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have every line of the log name who asked, as far as that can be believed."""
        bind_extra_request_metadata.connect(_bind_address)


def _bind_address(request: HttpRequest, **_: Any) -> None:
    from registry.rates import client_address  # reads the settings

    structlog.contextvars.bind_contextvars(ip=client_address(request))
