"""A receiver of alerts on the loopback."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

__all__ = ["receiver"]


@contextmanager
def receiver(port: int = 0) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Take alerts on the loopback, as a chat or a webhook would."""
    taken: list[dict[str, Any]] = []

    class Inbox(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Inbox)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, taken
    finally:
        server.shutdown()
        server.server_close()
