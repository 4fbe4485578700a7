"""
One port that speaks everything an AWS client may speak to it.

The first byte of a connection tells TLS from plain http. A `CONNECT host:443` is answered here and the TLS
inside it is terminated with a certificate for that host, so a client may use an endpoint's real name with
this port as its proxy: no DNS, no hosts file, and the emulator sees the true host and TLS version. Absolute
URIs (a plain http proxy request) work too.

Werkzeug's own request handler closes every connection after one answer, so the few lines that run the
application are ours: HTTP/1.1 with keep-alive, the whole body read before the application runs.
"""

import contextlib
import io
import logging
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import ThreadedWSGIServer

from sandbox.certificates import SandboxCa

LOGGER = logging.getLogger(__name__)

TLS_RECORD = 0x16
IDLE_SECONDS = 120
STOP_SECONDS = 2.0
TLS_VERSION_KEY = "sandbox.tls_version"
"""Environment key: "TLSv1.3" and so on, or None for plain http."""
HOST_KEY = "sandbox.host"
"""Environment key: the host that the client asked for, without port, in lower case."""

WsgiApplication = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _Handler(MotoRequestHandler):
    """Serves one connection, request by request."""

    protocol_version = "HTTP/1.1"
    server: "Listener"
    connection: Any

    def setup(self) -> None:
        self.request.settimeout(IDLE_SECONDS)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tls_version: str | None = None
        self.tunnel_host: str | None = None
        self.plain = self.request
        if self._first_byte() == TLS_RECORD:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
            self.tls_version = self.request.version()
        super().setup()
        self.server.opened(self)

    def finish(self) -> None:
        super().finish()
        self.connection.close()
        self.server.closed(self)

    def handle(self) -> None:
        try:
            while True:
                self.close_connection = True
                self.handle_one_request()
                if self.close_connection:
                    return
        except (ConnectionError, TimeoutError, ssl.SSLError, OSError) as error:
            LOGGER.debug("connection ended: %s", error)

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            return
        if self.parse_request():
            if self.command == "CONNECT":
                self._open_tunnel()
            else:
                self._answer()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class names it so
        LOGGER.debug(format, *arguments)

    def _first_byte(self) -> int | None:
        first = self.request.recv(1, socket.MSG_PEEK)
        return first[0] if first else None

    def _open_tunnel(self) -> None:
        """Answer CONNECT by terminating the tunnel here, in this very connection."""
        self.tunnel_host = urlsplit(f"//{self.path}").hostname or ""
        self.connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        # Nothing is buffered: a client starts its handshake only after this answer.
        if self._first_byte() == TLS_RECORD:
            self.request = self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
            self.tls_version = self.connection.version()
        else:
            self.tls_version = None
        self.rfile = self.connection.makefile("rb", -1)
        self.wfile = self.connection.makefile("wb", 0)
        self.close_connection = False

    def _answer(self) -> None:
        environ = self.make_environ()
        body = environ["wsgi.input"].read() if environ.get("wsgi.input_terminated") else self._sized_body()
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ.pop("wsgi.input_terminated", None)
        environ["wsgi.url_scheme"] = "https" if self.tls_version else "http"
        environ[TLS_VERSION_KEY] = self.tls_version
        environ[HOST_KEY] = (urlsplit(f"//{environ.get('HTTP_HOST', '')}").hostname or "").lower()
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> None:
            started[:] = [(status, headers)]

        answer = self.server.application(environ, start_response)
        content = b"".join(answer)
        close = getattr(answer, "close", None)
        if close is not None:
            close()
        status, headers = started[0]
        self._send(status, headers, content)

    def _sized_body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, status: str, headers: list[tuple[str, str]], content: bytes) -> None:
        code = int(status.split(" ", 1)[0])
        without_body = self.command == "HEAD" or code in (204, 304)
        given = {name.lower() for name, _ in headers}
        lines = [f"HTTP/1.1 {status}"]
        for name, value in headers:
            # A HEAD answer says how long the body would be; everything else is measured here.
            if name.lower() in ("connection", "transfer-encoding"):
                continue
            if name.lower() == "content-length" and not without_body:
                continue
            lines.append(f"{name}: {value}")
        if not without_body:
            lines.append(f"Content-Length: {len(content)}")
        if "date" not in given:
            lines.append(f"Date: {self.date_time_string()}")
        self.close_connection = self.headers.get("Connection", "").lower() == "close"
        lines.append(f"Connection: {'close' if self.close_connection else 'keep-alive'}")
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        self.connection.sendall(head if without_body else head + content)


class Listener(ThreadedWSGIServer):
    """The server on 127.0.0.1; `start` and `stop` own its thread."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, application: WsgiApplication, authority: SandboxCa, *, port: int = 0) -> None:
        self.application = application
        self.tls = authority.multi_host_context(accept_outdated_tls=True)
        self._open: set[_Handler] = set()
        self._open_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        super().__init__("127.0.0.1", port, application, handler=_Handler)

    def start(self) -> None:
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.name = "embedded-aws-listener"
        self._thread.start()

    def stop(self) -> None:
        """Stop accepting, close every connection, and wait for the thread."""
        if self._thread is None:
            return
        self.shutdown()
        self._thread.join()
        self.server_close()
        with self._open_lock:
            handlers = list(self._open)
        for handler in handlers:
            # The handler's thread then reads the end of the stream and leaves.
            with contextlib.suppress(OSError):
                handler.connection.shutdown(socket.SHUT_RDWR)
        patience = time.monotonic() + STOP_SECONDS
        while self._open and time.monotonic() < patience:
            time.sleep(0.01)

    def opened(self, handler: _Handler) -> None:
        with self._open_lock:
            self._open.add(handler)

    def closed(self, handler: _Handler) -> None:
        with self._open_lock:
            self._open.discard(handler)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class's
        """Note a broken connection and go on; a client that gives up in the handshake is no news."""
        LOGGER.debug("connection from %s failed: %s", client_address, sys.exception())
