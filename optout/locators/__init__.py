"""Locators: what makes two URLs the same, and the keys under which they are looked up.

The plain functions need nothing compiled. Those on arrays are in `kernel`, which loads numba when first used.
"""

from typing import TYPE_CHECKING, Any

from optout.locators.domains import canonical_domain, canonical_prefix
from optout.locators.reference import canonical, host_of, host_suffixes, prefixes
from optout.locators.rewrite import origins, variant_key
from optout.locators.siphash import siphash13
from optout.locators.status import MAX_BYTES, InvalidLocator, LocatorStatus

if TYPE_CHECKING:
    from optout.locators.kernel import Probes, canonicalise, hash_strings, probe_keys, variant_keys

__all__ = [
    "MAX_BYTES",
    "InvalidLocator",
    "LocatorStatus",
    "Probes",
    "canonical",
    "canonical_domain",
    "canonical_prefix",
    "canonicalise",
    "hash_strings",
    "host_of",
    "host_suffixes",
    "origins",
    "prefixes",
    "probe_keys",
    "siphash13",
    "variant_key",
    "variant_keys",
]

_COMPILED = frozenset({"Probes", "canonicalise", "hash_strings", "probe_keys", "variant_keys"})


def __getattr__(name: str) -> Any:
    if name not in _COMPILED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from optout.locators import kernel

    return getattr(kernel, name)
