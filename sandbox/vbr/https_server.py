"""
HTTP over TLS on 127.0.0.1, for one API object.

The TLS handshake happens in the thread of its connection: a client that connects and says nothing keeps
nobody else waiting. When the server closes, every open connection is shut, so that no thread stays.
"""

import json
import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sandbox.vbr.rest_api import Request
from sandbox.vbr.rest_calls import Answer

_IDLE_TIMEOUT = 60
_LARGEST_BODY = 1_000_000


class HttpsServer(ThreadingHTTPServer):
    """Serves until `close`; `listening` says whether a new connection is taken at all."""

    daemon_threads = False
    block_on_close = True
    allow_reuse_address = False

    def __init__(
        self,
        tls: ssl.SSLContext,
        handle: Callable[[Request], Answer],
        *,
        listening: Callable[[], bool],
        port: int = 0,
    ) -> None:
        if tls.minimum_version < ssl.TLSVersion.TLSv1_2:
            raise ValueError("the TLS context must refuse everything below TLS 1.2")
        self.handle = handle
        self._tls = tls
        self.listening = listening
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Connection)
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.02}, name="vbr rest"
        )

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def begin(self) -> None:
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        with self._lock:
            for connection in self._connections:
                _shut(connection)
        self.server_close()

    def server_bind(self) -> None:
        """Bind without looking the name of the address up, which may take seconds."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "localhost", self.port

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, address = super().get_request()
        connection.settimeout(_IDLE_TIMEOUT)
        wrapped = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._connections.add(wrapped)
        return wrapped, address

    def verify_request(self, request: object, client_address: object) -> bool:
        """Drop a connection while the REST service itself is down."""
        del request, client_address
        return self.listening()

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        if isinstance(request, socket.socket):
            with self._lock:
                self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that goes away or distrusts the certificate is no news."""


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # It was closed already.


class _Connection(BaseHTTPRequestHandler):
    """One connection, with any number of requests."""

    server: HttpsServer
    protocol_version = "HTTP/1.1"
    server_version = "StandInVbr"
    sys_version = ""
    # Headers and body leave together: two small packets would wait for each other's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def setup(self) -> None:
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()
        super().setup()

    def answer(self) -> None:
        if not self.server.listening():
            self.close_connection = True  # The REST service was stopped under an open connection.
            return
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _LARGEST_BODY or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self.send_error(411)
            return
        request = Request(
            method=self.command,
            target=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(length)),
        )
        answer = self.server.handle(request)
        content = b"" if answer.document is None else json.dumps(answer.document).encode()
        self.send_response(answer.status)
        if content:
            self.send_header("Content-Type", "application/json; charset=utf-8")
        if answer.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer  # noqa: N815 - the base class's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep the terminal quiet: requests.jsonl is the log."""
