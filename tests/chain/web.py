"""A small web on this machine: whoever takes it as a proxy meets every host that it knows."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Web", "serving"]


class Web(ThreadingHTTPServer):
    """Answers from `pages`, and remembers what was asked for.

    Args:
        pages: the bytes at each address; JPEG files all of them.
    """

    daemon_threads = True

    def __init__(self, pages: Mapping[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages = pages
        self.asked: set[str] = set()

    @property
    def address(self) -> str:
        """What to set as `http_proxy`."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        # Those who speak to a proxy name the whole address.
        self.server.asked.add(self.path)
        content = self.server.pages.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def serving(pages: Mapping[str, bytes]) -> Iterator[Web]:
    """A web that is there while the block runs."""
    web = Web(pages)
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    try:
        yield web
    finally:
        web.shutdown()
        web.server_close()
        thread.join()
