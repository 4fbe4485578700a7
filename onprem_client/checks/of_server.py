"""The checks of the backup server itself: registry, region file, service, REST API."""

from dataclasses import dataclass

from contract import names
from onprem_client.checks.check import Check, Finding
from onprem_client.resources import region_file, registry_value, service_restart
from onprem_client.resources.other_repositories import strangers
from onprem_client.resources.region_xml import region_endpoints
from onprem_client.veeam.protocols import Vbr
from onprem_client.windows.machine import Machine
from onprem_client.windows.protocols import ServiceState


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One region, the endpoint that it follows if it should follow one, and the buckets behind it."""

    name: names.Region
    host: str | None
    known_buckets: frozenset[str]


def region_checks(machine: Machine, region: Region) -> list[Check]:
    """Return the checks of what the client itself keeps."""

    def registry() -> Finding:
        value = registry_value.read(machine.registry)
        ok = region.host is None or value == registry_value.WANTED
        return Finding(ok, "absent" if value is None else str(value))

    def xml() -> Finding:
        content = region_file.read(machine.files, registry_value.region_file(machine.registry))
        found = region_endpoints(content, region=region.name)
        ok = region.host is None or found == (region.host,)
        return Finding(ok, f"{region.name}: {', '.join(found)}")

    return [
        Check(
            id="registry-value",
            title="VBR keeps the region file as it is",
            why="Without CloudRegionsDisableUpdate VBR rewrites the file, and backups leave the endpoint.",
            remedy="`apply` sets it.",
            look=registry,
            required=True,
        ),
        Check(
            id="region-file",
            title="The region follows the endpoint",
            why="VBR connects to what AmazonS3Regions.xml names.",
            remedy="`apply` writes it, also after an upgrade of VBR.",
            look=xml,
            required=True,
        ),
    ]


def service_check(machine: Machine) -> Check:
    """Return the check of the service."""

    def service() -> Finding:
        state = machine.services.state(service_restart.SERVICE)
        return Finding(state is ServiceState.RUNNING, state.value)

    return Check(
        id="service",
        title="The Veeam Backup Service runs",
        why="No backup without it; and this program never starts what somebody else has stopped.",
        remedy="Start it, when whoever stopped it is done.",
        look=service,
        required=True,
    )


def rest_check(vbr: Vbr | None) -> Check:
    """Return the check of VBR's REST API."""

    def rest() -> Finding:
        if vbr is None:
            return Finding(None, "[vbr] is not in client.toml")
        info = vbr.info()
        vbr.jobs()
        unseen = f"; does not show {', '.join(info.unseen)}" if info.unseen else ""
        return Finding(True, f"VBR {info.version}, REST {info.revision}{unseen}")

    return Check(
        id="rest",
        title="VBR's REST API answers",
        why="Jobs are put aside and repositories added through it.",
        remedy="Look at [vbr] in client.toml, the password (`secret set vbr-password`) and the REST service.",
        look=rest,
    )


def others_check(vbr: Vbr | None, region: Region) -> Check:
    """Return the check for repositories that the endpoint doesn't serve."""

    def others() -> Finding:
        if vbr is None:
            return Finding(None, "[vbr] is not in client.toml")
        found = strangers(vbr.repositories(), region=region.name, known=region.known_buckets)
        named = ", ".join(f"{one.name} (bucket {one.bucket or 'unknown'})" for one in found)
        return Finding(not found, named or "none")

    return Check(
        id="other-repositories",
        title="No repository of the region uses a bucket that the endpoint doesn't serve",
        why="The region file moves every Amazon S3 repository of the region.",
        remedy="Let the endpoint serve the bucket, or acknowledge it in site.acknowledged_buckets.",
        look=others,
    )
