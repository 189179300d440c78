"""Does a request come from this machine?"""

from ipaddress import ip_address

from django.http import HttpRequest

__all__ = ["is_loopback"]

_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP")


def is_loopback(request: HttpRequest) -> bool:
    """True for a direct connection from this machine; a proxy on it speaks for others, so it is none."""
    if any(header in request.headers for header in _FORWARDED):
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
