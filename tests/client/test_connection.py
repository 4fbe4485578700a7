"""The certificate is always checked, answers are bounded, redirects go nowhere."""

import hashlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from onprem_client.errors import ConfigurationError, VbrError
from onprem_client.veeam import connection
from onprem_client.veeam.connection import (
    HttpsConnection,
    NoAnswerError,
    NotSentError,
    Request,
    Trust,
    fingerprint,
)
from sandbox.certificates import SandboxCa

ASK = Request(method="GET", path="/x", headers={"Authorization": "Bearer secret-token"}, body=None)


class _Server(http.server.HTTPServer):
    """Answers each request with what the test has set."""

    status = 200
    headers: tuple[tuple[str, str], ...] = ()
    content = b'{"x": 1}'
    seen = 0


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.server.seen += 1
        self.send_response(self.server.status)
        for name, value in self.server.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@pytest.fixture(name="server")
def _server(ca: SandboxCa) -> Iterator[_Server]:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.socket = ca.server_context().wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _to(server: _Server, *, ca_file: Path | None = None, pin: str | None = None) -> HttpsConnection:
    return HttpsConnection(
        host="127.0.0.1", port=server.server_address[1], trust=Trust(ca_file=ca_file, fingerprint=pin)
    )


def _pin(server: _Server) -> str:
    pem = ssl.get_server_certificate(("127.0.0.1", server.server_address[1]))
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def test_a_ca_file_or_a_fingerprint_is_enough(server: _Server, ca: SandboxCa) -> None:
    """VBR signs its own certificate, or the company's CA does."""
    by_ca = _to(server, ca_file=ca.file).send(ASK)
    by_pin = _to(server, pin=_pin(server)).send(ASK)

    assert by_ca.document == by_pin.document == {"x": 1}


@pytest.mark.parametrize("pin", [None, "0" * 64])
def test_another_certificate_is_never_believed(server: _Server, pin: str | None) -> None:
    """The password would go to whoever has taken the address; so nothing is sent at all."""
    with pytest.raises(VbrError, match=r"not trusted.*vbr\.fingerprint") as error:
        _to(server, pin=pin).send(ASK)

    assert not isinstance(error.value, NotSentError | NoAnswerError)
    assert server.seen == 0


def test_a_ca_file_that_is_none_is_said(server: _Server, tmp_path: Path) -> None:
    """The most frequent mistake: a certificate in DER."""
    (tmp_path / "ca.der").write_bytes(b"\x30\x82")

    with pytest.raises(ConfigurationError, match=r"vbr\.ca_file"):
        _to(server, ca_file=tmp_path / "ca.der").send(ASK)


def test_a_redirect_is_an_answer_and_not_an_order(server: _Server, ca: SandboxCa) -> None:
    """Whoever answers must not be able to send the token elsewhere."""
    server.status, server.headers = 302, (("Location", f"https://127.0.0.1:{server.server_address[1]}/y"),)

    assert _to(server, ca_file=ca.file).send(ASK).status == 302
    assert server.seen == 1


def test_an_endless_answer_is_cut_off(
    server: _Server, ca: SandboxCa, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client runs on a production server: its memory is not the answer's."""
    monkeypatch.setattr(connection, "MAXIMUM_BYTES", 100)
    server.content = b"[" + b" " * 200 + b"]"

    with pytest.raises(VbrError, match="over 100 bytes"):
        _to(server, ca_file=ca.file).send(ASK)


@pytest.mark.parametrize("content", [b"<html>", b"", b"[" * 100_000])
def test_what_is_not_json_is_no_document(server: _Server, ca: SandboxCa, content: bytes) -> None:
    """A proxy's error page must not end in a traceback."""
    server.content = content

    assert _to(server, ca_file=ca.file).send(ASK).document is None


def test_nobody_there_is_not_sent(ca: SandboxCa) -> None:
    """So it may be tried again, whatever it was."""
    with pytest.raises(NotSentError, match="can't be reached"):
        HttpsConnection(host="127.0.0.1", port=1, trust=Trust(ca_file=ca.file, fingerprint=None)).send(ASK)


def test_a_request_does_not_print_its_secrets() -> None:
    """It is part of error messages."""
    request = Request(method="POST", path="/x?secret=1", headers={"A": "secret"}, body=b"secret")

    assert repr(request) == "Request(POST /x)"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("AB:" * 31 + "AB", "ab" * 32),
        ("ab" * 32, "ab" * 32),
        (" ".join(["AB"] * 32), "ab" * 32),
        ("ab" * 20, None),
        ("xy" * 32, None),
    ],
)
def test_a_fingerprint_is_read_in_the_forms_that_tools_print(text: str, read: str | None) -> None:
    """SHA-1 is not enough, and a typing error must not become "no check"."""
    assert fingerprint(text) == read
