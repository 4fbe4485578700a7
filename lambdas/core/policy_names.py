"""
The Sids of the product's own statements in a bucket policy.

A statement with one of these Sids is ours, wherever it stands; every other one is somebody else's and
survives whatever the product does.
"""

DENY_OBJECT_ACCESS = "DenyObjectAccessOutsideEndpoint"
DENY_LISTING = "DenyListingOutsideEndpoint"
DENY_POLICY_TAMPER = "DenyPolicyTamper"
DENY_INSECURE_TRANSPORT = "DenyInsecureTransport"
DENY_OUTDATED_TLS = "DenyOutdatedTls"

# One of each for every guest, with a number behind it.
ALLOW_GUEST = "AllowGrantedReading"
DENY_GUEST_CHANGES = "DenyChangesByGranted"
DENY_GUEST_LATER = "DenyGrantedAfterwards"

_SIDS = frozenset(
    {DENY_OBJECT_ACCESS, DENY_LISTING, DENY_POLICY_TAMPER, DENY_INSECURE_TRANSPORT, DENY_OUTDATED_TLS}
)


def is_own(sid: object) -> bool:
    """Say whether a statement with this Sid is the product's."""
    if not isinstance(sid, str):
        return False
    return sid in _SIDS or sid.rstrip("0123456789") in (ALLOW_GUEST, DENY_GUEST_CHANGES, DENY_GUEST_LATER)
