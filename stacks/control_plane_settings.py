"""
The block `private_control_plane` of the settings: how backup servers get to Systems Manager without internet.

It trusts certificates of an authority of the customer's own, through IAM Roles Anywhere. A certificate that
AWS would refuse, and above all a private key, is refused here.
"""

import re
import ssl
from dataclasses import dataclass
from typing import Self

from contract import names
from contract.errors import ContractError
from contract.reading import Fields

_CERTIFICATE = re.compile(
    r"\s*-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\s*", re.ASCII
)
# IAM Roles Anywhere, API reference: SourceData.x509CertificateData.
_LONGEST = 8000


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlaneSettings:
    """
    `certificate_authority` is one CA certificate as PEM; `session_minutes` is how long a server's
    credentials hold; with `interface_endpoints` the calls stay in the network as well.
    """

    certificate_authority: str
    session_minutes: int
    interface_endpoints: bool

    @classmethod
    def from_value(cls, value: object, *, field: str) -> Self:
        """Read the block; raises ContractError that names the field and the fix."""
        fields = Fields(value, where=field)
        settings = cls(
            certificate_authority=fields.checked("certificate_authority", _certificate),
            session_minutes=(
                fields.integer("session_minutes", least=15, most=60) if fields.has("session_minutes") else 60
            ),
            interface_endpoints=fields.boolean("interface_endpoints"),
        )
        fields.finish()
        return settings


def _certificate(value: object, *, field: str) -> str:
    if isinstance(value, str) and "PRIVATE KEY" in value:
        raise ContractError(
            field, "holds a private key; take it out of the settings, and regard it as known to others"
        )
    rule = "give one certificate as PEM, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----"
    pem = names.matching(_CERTIFICATE, value, field=field, rule=rule).strip() + "\n"
    if len(pem) > _LONGEST:
        raise ContractError(field, f"is {len(pem)} characters long; IAM Roles Anywhere takes {_LONGEST}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=pem)
    except ssl.SSLError as error:
        raise ContractError(field, f"is not a certificate ({error.reason}); {rule}") from error
    if not context.get_ca_certs():
        raise ContractError(
            field, "is not the certificate of an authority; give the CA's own, with basicConstraints CA:TRUE"
        )
    return pem
