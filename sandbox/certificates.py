"""
The sandbox's own certificate authority: one CA, a server certificate for whatever host a client asks for.

The embedded AWS and the stand-in VBR server share it, so a client trusts one file, `ca.pem`. The CA lives
as long as the process: a new sandbox has a new one, and no private key of it is written to disk.
"""

import ssl
import threading
from pathlib import Path

import trustme

LOOPBACK_NAMES = ("localhost", "127.0.0.1")


class SandboxCa:
    """A certificate authority whose `ca.pem` lies in *folder*."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA(organization_name="vbr-privatelink sandbox")
        self._contexts: dict[tuple[str, bool], ssl.SSLContext] = {}
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "ca.pem"
        self.file.write_bytes(self._authority.cert_pem.bytes())

    def server_context(self, host: str = "localhost", *, accept_outdated_tls: bool = False) -> ssl.SSLContext:
        """
        Return a server context whose certificate is valid for *host* (and for the loopback names).

        *accept_outdated_tls* lets TLS 1.0 and 1.1 through, so that a policy that refuses them is what
        refuses them.
        """
        with self._lock:
            key = (host, accept_outdated_tls)
            if key not in self._contexts:
                self._contexts[key] = self._new_context(host, accept_outdated_tls=accept_outdated_tls)
            return self._contexts[key]

    def multi_host_context(self, *, accept_outdated_tls: bool = False) -> ssl.SSLContext:
        """
        Return a context that shows each client a certificate for the host it names in its greeting (SNI).
        """
        context = self._new_context("localhost", accept_outdated_tls=accept_outdated_tls)

        def choose(connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
            if name:
                connection.context = self.server_context(name, accept_outdated_tls=accept_outdated_tls)

        context.sni_callback = choose
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return a client context that trusts this CA and nothing else."""
        return ssl.create_default_context(cafile=str(self.file))

    def _new_context(self, host: str, *, accept_outdated_tls: bool) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if accept_outdated_tls:
            context.set_ciphers("ALL:@SECLEVEL=0")
            # MINIMUM_SUPPORTED, not TLSv1: naming an outdated version is deprecated in Python, allowing it
            # is not.
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        names = dict.fromkeys((host, *LOOPBACK_NAMES))
        self._authority.issue_cert(*names).configure_cert(context)
        return context
