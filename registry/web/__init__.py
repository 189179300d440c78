"""Fetching from the open web for those who ask for it, without being led into our own network."""

from registry.web.addresses import Refused, Unreachable, vet_address
from registry.web.client import Fetched, FetchLimits, fetch
from registry.web.robots import may_fetch

__all__ = ["FetchLimits", "Fetched", "Refused", "Unreachable", "fetch", "may_fetch", "vet_address"]
