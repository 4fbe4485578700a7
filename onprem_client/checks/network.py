"""The network of this machine, or the proxy through which S3 is reached."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from onprem_client.checks import s3
from onprem_client.checks.protocols import Bucket, Certificate, NetworkError, S3Answer

_SECONDS = 5.0
_HTTPS = 443
_LONGEST_HEAD = 16 * 1024


class SystemNetwork:
    """Sockets; with a proxy, a tunnel through it for each connection."""

    def __init__(self, *, proxy: str | None, ca_file: Path | None) -> None:
        self._proxy = proxy
        self._ca_file = ca_file

    @property
    def through_proxy(self) -> bool:
        """Say whether a proxy is used."""
        return self._proxy is not None

    def resolve(self, host: str) -> tuple[str, ...]:
        """Ask the system's resolver, as VBR does."""
        try:
            found = socket.getaddrinfo(host, _HTTPS, type=socket.SOCK_STREAM)
        except OSError:
            return ()
        return tuple(sorted({str(entry[4][0]) for entry in found}))

    def connect(self, host: str, port: int) -> None:
        """Open a connection and close it."""
        with self._opened(host, port):
            pass

    def certificate(self, host: str) -> Certificate:
        """Shake hands as a client that checks everything."""
        try:
            context = ssl.create_default_context(cafile=None if self._ca_file is None else str(self._ca_file))
            with self._opened(host, _HTTPS) as plain, context.wrap_socket(plain, server_hostname=host) as tls:
                found: dict[str, Any] = tls.getpeercert() or {}
        except ssl.SSLCertVerificationError as error:
            raise NetworkError(f"the certificate of {host} is not trusted: {error.verify_message}") from error
        except OSError as error:
            raise NetworkError(f"no TLS with {host}: {_reason(error)}") from error
        addresses = [*found.get("OCSP", ()), *found.get("crlDistributionPoints", ())]
        hosts = dict.fromkeys(urlsplit(address).hostname or "" for address in addresses)
        return Certificate(
            expires=str(found.get("notAfter", "unknown")),
            revocation_hosts=tuple(host for host in hosts if host),
        )

    def look_into(self, bucket: Bucket) -> S3Answer:
        """List the bucket through the endpoint."""
        return s3.look_into(bucket, proxy=self._proxy, ca_file=self._ca_file)

    def missing_permissions(self, bucket: Bucket) -> tuple[str, ...]:
        """Try the key's permissions through the endpoint."""
        return s3.missing_permissions(bucket, proxy=self._proxy, ca_file=self._ca_file)

    @contextmanager
    def _opened(self, host: str, port: int) -> Iterator[socket.socket]:
        proxy = None if self._proxy is None else urlsplit(self._proxy)
        where = (host, port) if proxy is None else (proxy.hostname or "", proxy.port or HTTP_PROXY_PORT)
        try:
            connection = socket.create_connection(where, timeout=_SECONDS)
        except OSError as error:
            raise NetworkError(f"{where[0]}:{where[1]}: {_reason(error)}") from error
        with connection:
            if proxy is not None:
                _tunnel(connection, host, port)
            yield connection


HTTP_PROXY_PORT = 3128


def _tunnel(connection: socket.socket, host: str, port: int) -> None:
    """Ask the proxy for a tunnel; its answer ends with an empty line."""
    head = b""
    try:
        connection.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode("ascii"))
        while b"\r\n\r\n" not in head and len(head) < _LONGEST_HEAD:
            # One byte at a time: what comes behind the answer belongs to the tunnel.
            part = connection.recv(1)
            if not part:
                break
            head += part
    except OSError as error:
        raise NetworkError(f"the proxy did not answer: {_reason(error)}") from error
    status = head.split(b"\r\n", 1)[0].decode("ascii", "replace")
    if " 200 " not in f"{status} ":
        raise NetworkError(f"the proxy refused {host}:{port}: {status[:80] or 'no answer'}")


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
