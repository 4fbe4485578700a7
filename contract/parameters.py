"""
Names of the Systems Manager parameters of a site.

    /vbr-privatelink/<site>/settings             the stack writes, the workflow reads
    /vbr-privatelink/<site>/endpoint             the workflow writes, the client reads
    /vbr-privatelink/<site>/adoption/<server>    the client writes, the workflow reads
    /vbr-privatelink/<site>/seen/<server>        the client's heartbeat; starts nothing
"""

from contract.names import ServerName, SiteName

ROOT = "/vbr-privatelink"

# Parameter Store, Standard tier.
MAXIMUM_BYTES = 4096


def settings_parameter(site: SiteName) -> str:
    """Where the settings of a site are."""
    return f"{ROOT}/{site}/settings"


def endpoint_parameter(site: SiteName) -> str:
    """Where the EndpointDocument of a site is."""
    return f"{ROOT}/{site}/endpoint"


def adoption_parameter(site: SiteName, server: ServerName) -> str:
    """Where a server's AdoptionReport is."""
    return f"{ROOT}/{site}/adoption/{server}"


def seen_parameter(site: SiteName, server: ServerName) -> str:
    """Where a server's heartbeat is."""
    return f"{ROOT}/{site}/seen/{server}"
