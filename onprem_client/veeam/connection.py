"""
One request to the VBR server, over TLS that is always checked.

The certificate is trusted through a CA file, or because its SHA-256 fingerprint is the one in client.toml:
VBR makes its own certificate, which no CA knows. There is no way to switch the check off. A redirect is never
followed, an answer never read past its limit, and no error holds what was sent.
"""

import json
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from onprem_client.errors import ConfigurationError, VbrError

if TYPE_CHECKING:
    import urllib3

MAXIMUM_BYTES = 32 * 1024 * 1024

_CONNECT_SECONDS = 10.0
_READ_SECONDS = 60.0


class NotSentError(VbrError):
    """The server did not take the request: it may be sent again, whatever it asks for."""


class NoAnswerError(VbrError):
    """The server may have carried the request out, or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; headers and body may hold secrets, so it doesn't print them."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes | None

    def __repr__(self) -> str:
        return f"Request({self.method} {self.path.partition('?')[0]})"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: a status, and a JSON document if there is one."""

    status: int
    document: Any


class Connection(Protocol):
    """A way to one server; raises NotSentError or NoAnswerError."""

    def send(self, request: Request) -> Reply: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Why the server's certificate is believed: a CA file, or the certificate's own fingerprint."""

    ca_file: Path | None
    fingerprint: str | None


def fingerprint(text: str) -> str | None:
    """Return a SHA-256 fingerprint in lower case without separators, or None when it isn't one."""
    plain = re.sub(r"[:\s-]", "", text).lower()
    return plain if re.fullmatch(r"[0-9a-f]{64}", plain) else None


class HttpsConnection:
    """urllib3 to one host; connections are kept open and made again when they break."""

    def __init__(self, *, host: str, port: int, trust: Trust) -> None:
        self._host = host
        self._port = port
        self._trust = trust
        self._made: urllib3.HTTPSConnectionPool | None = None

    def __repr__(self) -> str:
        return f"HttpsConnection({self._host}:{self._port})"

    def send(self, request: Request) -> Reply:
        """Send one request and read the whole answer."""
        import urllib3
        from urllib3 import exceptions

        where = f"VBR at {self._host}:{self._port}"
        try:
            answer = self._pool().urlopen(
                request.method,
                request.path,
                body=request.body,
                headers=request.headers,
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
            )
            content = answer.read(MAXIMUM_BYTES + 1, decode_content=True)
            if len(content) > MAXIMUM_BYTES:
                answer.close()
            answer.release_conn()
        except exceptions.SSLError as error:
            if not _is_distrust(error):
                raise NoAnswerError(f"{where} gave no answer to {request!r}: {_reason(error)}") from error
            raise VbrError(
                f"{where} shows a certificate that is not trusted ({_reason(error)}); name its CA in "
                "vbr.ca_file, or its SHA-256 fingerprint in vbr.fingerprint"
            ) from error
        except (exceptions.NewConnectionError, exceptions.ConnectTimeoutError) as error:
            raise NotSentError(f"{where} can't be reached: {_reason(error)}") from error
        except exceptions.HTTPError as error:
            raise NoAnswerError(f"{where} gave no answer to {request!r}: {_reason(error)}") from error
        if len(content) > MAXIMUM_BYTES:
            raise VbrError(
                f"the answer of VBR to {request!r} is over {MAXIMUM_BYTES} bytes long; it is not read"
            )
        return Reply(answer.status, _document(content))

    def _pool(self) -> "urllib3.HTTPSConnectionPool":
        if self._made is None:
            import urllib3
            from urllib3.util.ssl_ import create_urllib3_context

            pinned = self._trust.fingerprint is not None
            context = create_urllib3_context()
            if pinned:
                # The fingerprint is checked instead, by urllib3, before anything is sent.
                context.check_hostname = False
            elif self._trust.ca_file is not None:
                try:
                    context.load_verify_locations(cafile=str(self._trust.ca_file))
                except OSError as error:
                    raise ConfigurationError(
                        f"vbr.ca_file: {self._trust.ca_file} is not a file of certificates in PEM"
                    ) from error
            else:
                context.load_default_certs()
            self._made = urllib3.HTTPSConnectionPool(
                self._host,
                self._port,
                ssl_context=context,
                cert_reqs="CERT_NONE" if pinned else "CERT_REQUIRED",
                assert_fingerprint=self._trust.fingerprint,
                maxsize=1,
            )
        return self._made


def _document(content: bytes) -> Any:
    """Read JSON; what isn't JSON is no document, and never shown: a login page is not worth a traceback."""
    try:
        return json.loads(content) if content.strip() else None
    except (ValueError, RecursionError):
        return None


def _is_distrust(error: Exception) -> bool:
    """Tell a certificate that is not believed from a connection that broke while it was being made."""
    cause = error.args[0] if error.args else None
    return isinstance(cause, ssl.SSLCertVerificationError) or "fingerprint" in str(error).lower()


def _reason(error: Exception) -> str:
    """Say what went wrong in one short line; urllib3 puts its own objects before a colon."""
    text = (str(error).splitlines() or [""])[0]
    return re.sub(r"<[^>]*>:?\s*|HTTPSConnection\([^)]*\):?\s*", "", text)[:200] or type(error).__name__
