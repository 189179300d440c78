"""A site on loopback that says what a test tells it to."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Page", "Site", "site"]


@dataclass
class Page:
    """One answer; `slow` is the pause before each byte of the body."""

    body: bytes = b""
    kind: str = "image/jpeg"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    slow: float = 0.0


@dataclass
class Site:
    """Its pages by path, and what was asked for: path and headers, in order."""

    url: str
    address: str
    pages: dict[str, Page]
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@contextmanager
def site(
    pages: dict[str, Page], wrap: Callable[[ThreadingHTTPServer], None] = lambda _: None
) -> Iterator[Site]:
    """Serve `pages`; everything else is 404. `wrap` may put TLS over the server's socket."""
    server = _Server(("127.0.0.1", 0), _Handler)
    port = server.server_address[1]
    wrap(server)
    served = Site(f"http://127.0.0.1:{port}", f"127.0.0.1:{port}", pages)
    server.site = served  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that refuse our certificate or hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        served: Site = self.server.site  # type: ignore[attr-defined]
        served.asked.append((self.path, dict(self.headers)))
        page = served.pages.get(self.path, Page(b"", "text/plain", 404))
        self.send_response(page.status)
        headers = {"Content-Type": page.kind, "Content-Length": str(len(page.body)), **page.headers}
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        try:
            self._send(page)
        except OSError:  # the client has had enough
            self.close_connection = True

    def _send(self, page: Page) -> None:
        if not page.slow:
            self.wfile.write(page.body)
            return
        for byte in page.body:
            time.sleep(page.slow)
            self.wfile.write(bytes([byte]))
            self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
