"""One GET, safely: to an address that was looked at, within limits of size and time, each redirect anew."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urljoin

from django.conf import settings

from registry.web.addresses import Refused, Target, Unreachable, vet_address

__all__ = ["AGENT", "FetchLimits", "Fetched", "fetch", "user_agent"]

#: The name that robots.txt files know us by.
AGENT = "OptoutRegistry"
MOST_REDIRECTS = 5
_BLOCK = 64 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class FetchLimits:
    """What one fetch may cost.

    Attributes:
        most_bytes: of the body.
        seconds: from the first byte sent to the last received, over all redirects.
        types: what the media type of the answer begins with; "" takes any.
    """

    most_bytes: int
    seconds: float = 30.0
    types: str = "image/"


class Fetched(NamedTuple):
    """The answer: its status, media type and body, and the address that gave it after redirects."""

    status: int
    content_type: str
    body: bytes
    url: str


def user_agent() -> str:
    """What the User-Agent header says: our name, and where to read what we do."""
    where = f" (+{settings.OPTOUT_URL})" if settings.OPTOUT_URL else ""
    return f"{AGENT}/1.0{where}"


def fetch(url: str, limits: FetchLimits) -> Fetched:
    """Get what is at `url`, following up to five redirects, each looked at like the first address.

    Raises:
        Refused: the address, or one it redirects to, is not fetched from (see `vet_address`); or the answer
            is too large (`too_large`), no picture (`not_an_image`), `encoded`, or `too_many_redirects`.
        Unreachable: no connection, a broken answer, or out of time (`unreachable`).
    """
    deadline = time.monotonic() + limits.seconds
    for _ in range(MOST_REDIRECTS + 1):
        target = vet_address(url)
        answer = _get(target, url, limits, deadline)
        if isinstance(answer, Fetched):
            return answer
        url = urljoin(url, answer)
    raise Refused(f"the address redirects more than {MOST_REDIRECTS} times", code="too_many_redirects")


def _get(target: Target, url: str, limits: FetchLimits, deadline: float) -> Fetched | str:
    """The answer, or the address it redirects to."""
    try:
        with _connected(target, deadline) as connection:
            connection.putrequest("GET", target.path, skip_host=True, skip_accept_encoding=True)
            for name, value in _headers(target).items():
                connection.putheader(name, value)
            connection.endheaders()
            with closing(connection.getresponse()) as response:
                location = response.getheader("Location")
                if response.status in _REDIRECTS and location:
                    return location
                return _read(response, url, limits)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(
            f"{target.host} did not answer: {_said(error, deadline)}", code="unreachable"
        ) from error


def _headers(target: Target) -> dict[str, str]:
    return {
        "Host": target.authority,
        "User-Agent": user_agent(),
        "Accept": "image/*,*/*;q=0.1",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }


def _read(response: http.client.HTTPResponse, url: str, limits: FetchLimits) -> Fetched:
    kind = response.headers.get_content_type()
    if response.status != 200:
        return Fetched(response.status, kind, b"", url)
    if limits.types and not kind.startswith(limits.types):
        raise Refused(f"the address has {kind}, not a picture", code="not_an_image")
    if response.getheader("Content-Encoding", "identity").lower() != "identity":
        raise Refused("the answer is compressed although that was not asked for", code="encoded")
    if (response.length or 0) > limits.most_bytes:
        raise _too_large(limits)
    body = bytearray()
    while block := response.read(_BLOCK):
        body += block
        if len(body) > limits.most_bytes:
            raise _too_large(limits)
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return Fetched(response.status, kind, bytes(body), url)


def _too_large(limits: FetchLimits) -> Refused:
    return Refused(f"the file has more than {limits.most_bytes:,} bytes", code="too_large")


@contextmanager
def _connected(target: Target, deadline: float) -> Iterator[http.client.HTTPConnection]:
    """A connection to the address that was looked at, cut off when the time is up.

    A time-out of the socket alone would start anew with every byte that a slow server sends.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    held = [socket.create_connection((target.address, target.port), timeout=left)]
    cut = threading.Timer(max(deadline - time.monotonic(), 0), _cut, [held])
    cut.daemon = True
    cut.start()
    try:
        if target.scheme == "https":
            _secure(held, target)
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.sock = held[0]
        with closing(connection):
            yield connection
    finally:
        cut.cancel()
        held[0].close()


def _secure(held: list[socket.socket], target: Target) -> None:
    """Put TLS over the connection; in two steps, so that a slow handshake can be cut off too."""
    context = ssl.create_default_context()
    secured = context.wrap_socket(held[0], server_hostname=target.host, do_handshake_on_connect=False)
    held[0] = secured
    secured.do_handshake()


def _cut(held: list[socket.socket]) -> None:
    with suppress(OSError):
        held[0].shutdown(socket.SHUT_RDWR)


def _said(error: Exception, deadline: float) -> str:
    if isinstance(error, TimeoutError) or time.monotonic() >= deadline:
        return "out of time"
    return str(error)[:200] or type(error).__name__
