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

OWN_SIDS = frozenset(
    {DENY_OBJECT_ACCESS, DENY_LISTING, DENY_POLICY_TAMPER, DENY_INSECURE_TRANSPORT, DENY_OUTDATED_TLS}
)
