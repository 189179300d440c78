"""The Django application of the domain."""

from django.apps import AppConfig

__all__ = ["RegistryConfig"]


class RegistryConfig(AppConfig):
    """Models, services, reads, portal and admin."""

    name = "registry"
    verbose_name = "Optout Registry"
