"""Locators: what makes two URLs the same, and the keys under which they are looked up.

The plain functions need nothing compiled. Those on arrays are in `kernel`, which loads numba when first used.
"""

from optout.locators.domains import canonical_domain, canonical_prefix
from optout.locators.reference import canonical, host_of, host_suffixes, prefixes
from optout.locators.rewrite import origins, variant_key
from optout.locators.siphash import siphash13
from optout.locators.status import MAX_BYTES, InvalidLocator, LocatorStatus

__all__ = [
    "MAX_BYTES",
    "InvalidLocator",
    "LocatorStatus",
    "canonical",
    "canonical_domain",
    "canonical_prefix",
    "host_of",
    "host_suffixes",
    "origins",
    "prefixes",
    "siphash13",
    "variant_key",
]
