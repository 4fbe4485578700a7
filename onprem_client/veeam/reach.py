"""Reach VBR as client.toml says, with the password from this machine's secrets."""

from onprem_client.clock import Clock
from onprem_client.configuration import VbrSettings
from onprem_client.errors import SecretError
from onprem_client.secret import VBR_PASSWORD, Secret
from onprem_client.veeam.connection import HttpsConnection, Trust
from onprem_client.veeam.protocols import Vbr
from onprem_client.veeam.rest import Rest
from onprem_client.veeam.server import RestVbr
from onprem_client.windows.protocols import Secrets


def reach(settings: VbrSettings, secrets: Secrets, clock: Clock, *, patience: float) -> Vbr:
    """Return the way to VBR; nothing is sent before the first call, and the password not read."""

    def password() -> Secret:
        found = secrets.read(VBR_PASSWORD)
        if found is None:
            raise SecretError(f"there is no password for {settings.user}; call `secret set {VBR_PASSWORD}`")
        return found

    trust = Trust(ca_file=settings.ca_file, fingerprint=settings.fingerprint)
    connection = HttpsConnection(host=settings.host, port=settings.port, trust=trust)
    return RestVbr(Rest(connection, user=settings.user, password=password, clock=clock, patience=patience))
