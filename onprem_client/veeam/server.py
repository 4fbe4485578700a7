"""
The calls that the client makes, in the server's own revision.

What differs between revisions stands in the table of `revisions`; here it is only looked up.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from onprem_client.errors import RepositoryError, VbrError
from onprem_client.secret import Secret
from onprem_client.veeam.protocols import (
    Credential,
    Job,
    NewRepository,
    Place,
    Repository,
    ServerInfo,
    Session,
)
from onprem_client.veeam.reading import flag, identifier, items, member, number, text
from onprem_client.veeam.rest import Rest

_JOBS = "/api/v1/jobs"
_SESSIONS = "/api/v1/sessions"
_CREDENTIALS = "/api/v1/cloudCredentials"
_BROWSER = "/api/v1/cloudBrowser"
_INFRASTRUCTURE = "/api/v1/backupInfrastructure"
_REPOSITORIES = f"{_INFRASTRUCTURE}/repositories"

AMAZON_S3 = "AmazonS3"
S3_COMPATIBLE = "S3Compatible"

_ENABLED = {"running", "inactive", "enabled", "starting", "stopping", "stopped"}


class RestVbr:
    """VBR behind its REST API."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._info: ServerInfo | None = None

    def info(self) -> ServerInfo:
        """Say who answers; asked once."""
        if self._info is None:
            document = self._rest.call("GET", "/api/v1/serverInfo")
            revision = self._rest.revision()
            self._info = ServerInfo(
                id=text(document, "vbrId") or "",
                name=text(document, "name") or "",
                version=text(document, "buildVersion"),
                revision=revision.name,
                linux=(text(document, "platform") or "").lower() == "linux",
                unseen=revision.unseen,
                blind=revision.blind,
            )
        return self._info

    def jobs(self) -> tuple[Job, ...]:
        """List every job that the revision shows."""
        return tuple(
            Job(
                id=identifier(each),
                name=text(each, "name") or identifier(each),
                enabled=_enabled(text(each, "status")),
            )
            for each in self._rest.listing(f"{_JOBS}/states")
        )

    def work(self) -> tuple[Session, ...]:
        """Ask for each state that is neither over nor resting, in the order in which sessions pass them."""
        found: dict[str, Session] = {}
        for state in self._rest.revision().running_states:
            for each in self._rest.listing(_SESSIONS, {"stateFilter": state}):
                session = self._session(each)
                if not session.over and not session.resting:
                    found[session.id] = session
        return tuple(found.values())

    def session(self, session_id: str) -> Session:
        """Look at one session."""
        return self._session(self._rest.call("GET", f"{_SESSIONS}/{quote(session_id, safe='')}"))

    def repositories(self) -> tuple[Repository, ...]:
        """List every repository."""
        return tuple(_repository(each) for each in self._rest.listing(_REPOSITORIES))

    def is_online(self, repository: Repository) -> bool | None:
        """Look a repository up among the states."""
        if not self._rest.revision().states_say_online:
            return None
        for each in self._rest.listing(f"{_REPOSITORIES}/states"):
            if text(each, "id") == repository.id:
                return flag(each, "isOnline")
        return None

    def credentials(self) -> tuple[Credential, ...]:
        """List the access keys that VBR knows; others' kinds of credentials have none."""
        found = ((each, text(each, "accessKey")) for each in self._rest.listing(_CREDENTIALS))
        return tuple(
            Credential(id=identifier(each), access_key_id=key) for each, key in found if key is not None
        )

    def managed_servers(self) -> dict[str, str]:
        """List the servers that may be gateways."""
        return {
            name.lower(): identifier(each)
            for each in self._rest.listing(f"{_INFRASTRUCTURE}/managedServers")
            if (name := text(each, "name")) is not None
        }

    def folders(self, place: Place) -> tuple[str, ...]:
        """Browse one bucket with the cache reset; raises VbrError with S3's own words."""
        gateway = {"gatewayServerId": place.gateway_ids[0]} if place.gateway_ids else {}
        if place.service_point is None:
            kind: dict[str, Any] = {
                "serviceType": AMAZON_S3,
                "regionType": _region_type(place.region),
                "filters": {"regionId": place.region, "bucketName": place.bucket},
            }
        else:
            kind = {
                "serviceType": S3_COMPATIBLE,
                "servicePoint": place.service_point,
                "regionId": place.region,
            }
        answer = self._rest.call(
            "POST",
            _BROWSER,
            query={"resetCache": "true"} if self._rest.revision().browser_resets_cache else None,
            body={"credentialsId": place.credential_id, **kind, **gateway},
        )
        for region in _list(answer, "regions"):
            for bucket in _list(region, "buckets"):
                if text(bucket, "name") == place.bucket:
                    return tuple(_names(_list(bucket, "folders")))
        raise VbrError(f"VBR does not see the bucket {place.bucket}")

    def rescan(self, repository: Repository) -> str | None:
        """Start a rescan; return its session."""
        if not self._rest.revision().rescans:
            return None
        answer = self._rest.call(
            "POST", f"{_REPOSITORIES}/rescan", body={"repositoryIds": [repository.id]}, repeatable=False
        )
        return identifier(answer)

    def back_up_configuration(self) -> str:
        """Start a backup of the configuration; return its session."""
        return identifier(self._rest.call("POST", "/api/v1/configBackup/backup", repeatable=False))

    def disable_job(self, job_id: str) -> None:
        """Let a job start no more."""
        self._rest.call("POST", f"{_JOBS}/{quote(job_id, safe='')}/disable")

    def enable_job(self, job_id: str) -> None:
        """Let a job start again."""
        self._rest.call("POST", f"{_JOBS}/{quote(job_id, safe='')}/enable")

    def stop_job(self, job_id: str, *, gracefully: bool) -> None:
        """End a job's run: after the item at hand, or at once."""
        self._rest.call(
            "POST",
            f"{_JOBS}/{quote(job_id, safe='')}/stop",
            body={self._rest.revision().graceful: gracefully},
        )

    def add_credential(self, access_key_id: str, secret_key: Secret, description: str) -> str:
        """Give VBR an access key; return the credential's id."""
        answer = self._rest.call(
            "POST",
            _CREDENTIALS,
            body={
                "type": "Amazon",
                "accessKey": access_key_id,
                "secretKey": secret_key.reveal(),
                "description": description,
            },
            repeatable=False,
        )
        return identifier(answer)

    def add_folder(self, place: Place, name: str) -> None:
        """Make a folder below Veeam/Backup/."""
        if place.service_point is None:
            kind = {"serviceType": AMAZON_S3, "regionType": _region_type(place.region)}
        else:
            kind = {"serviceType": S3_COMPATIBLE, "connectionPoint": place.service_point}
        host = {"hostId": place.gateway_ids[0]} if place.gateway_ids else {}
        self._rest.call(
            "POST",
            f"{_BROWSER}/newFolder",
            body={
                "credentialsId": place.credential_id,
                "newFolderName": name,
                "regionId": place.region,
                "bucketName": place.bucket,
                **kind,
                **host,
            },
            repeatable=False,
        )

    def add_repository(self, new: NewRepository) -> str:
        """Start adding a repository; return the session that does it."""
        answer = self._rest.call(
            "POST",
            _REPOSITORIES,
            query={"overwriteOwner": "true"} if new.take_ownership else None,
            body=self._repository_body(new),
            repeatable=False,
        )
        return identifier(answer)

    def _repository_body(self, new: NewRepository) -> dict[str, Any]:
        place = new.place
        connection: dict[str, Any] = (
            {"connectionType": "SelectedGateway", "gatewayServerIds": list(place.gateway_ids)}
            if place.gateway_ids
            else {"connectionType": "Direct"}
        )
        account: dict[str, Any] = {"credentialsId": place.credential_id, "connectionSettings": connection}
        bucket: dict[str, Any] = {"bucketName": place.bucket, "folderName": new.folder}
        if place.service_point is None:
            account["regionType"] = _region_type(place.region)
            bucket["regionId"] = place.region
        else:
            account |= {"servicePoint": place.service_point, "regionId": place.region}
        if new.immutability_days:
            bucket["immutability"] = {"isEnabled": True, "daysCount": new.immutability_days}
        return {
            "name": new.name,
            "description": new.description,
            "type": AMAZON_S3 if place.service_point is None else S3_COMPATIBLE,
            "account": account,
            "bucket": bucket,
            **self._mount_server(new.write_cache_folder),
        }

    def _mount_server(self, write_cache_folder: str | None) -> dict[str, Any]:
        """Take the default mount server, in the form that the revision wants."""
        revision = self._rest.revision()
        if not revision.mount_server_required:
            return {}
        answer = self._rest.call("GET", f"{_INFRASTRUCTURE}/mountServers/default")
        first = next(iter(items(answer)), answer)
        folder = write_cache_folder or text(first, "writeCacheFolder")
        if folder is None:
            raise RepositoryError(
                "VBR does not say where its mount server keeps its write cache: name a folder in "
                "site.repository.write_cache_folder"
            )
        settings: dict[str, Any] = {
            "mountServerId": identifier(first, "mountServerId")
            if member(first, "mountServerId") is not None
            else identifier(first),
            "writeCacheFolder": folder,
            "vPowerNFSEnabled": flag(first, "vPowerNFSEnabled") or False,
        }
        if revision.mount_server_types is None:
            return {"mountServer": settings}
        windows, linux = revision.mount_server_types
        kind, system = (
            (linux, "linux")
            if (text(first, "type") or "").lower().startswith("linux")
            else (windows, "windows")
        )
        return {"mountServer": {"mountServerSettingsType": kind, system: settings}}

    def _session(self, document: object) -> Session:
        state = text(document, "state") or "unknown"
        return Session(
            id=identifier(document),
            name=text(document, "name") or "",
            type=text(document, "sessionType") or "unknown",
            job_id=text(document, self._rest.revision().session_job),
            state=state,
            over=state.lower() == "stopped",
            resting=state.lower() == "idle",
            result=text(document, "result", "result"),
            message=text(document, "result", "message") or "",
        )


def _enabled(status: str | None) -> bool | None:
    if status is not None and status.lower() == "disabled":
        return False
    return True if status is not None and status.lower() in _ENABLED else None


def _repository(document: Mapping[str, Any]) -> Repository:
    immutable = flag(document, "bucket", "immutability", "isEnabled") or False
    return Repository(
        id=identifier(document),
        name=text(document, "name") or "",
        type=text(document, "type") or "",
        region=text(document, "bucket", "regionId") or text(document, "account", "regionId"),
        bucket=text(document, "bucket", "bucketName"),
        folder=text(document, "bucket", "folderName"),
        service_point=text(document, "account", "servicePoint"),
        immutability_days=(number(document, "bucket", "immutability", "daysCount") or 0) if immutable else 0,
    )


def _region_type(region: str) -> str:
    if region.startswith("cn-"):
        return "China"
    return "Government" if region.startswith("us-gov-") else "Global"


def _list(document: object, name: str) -> list[Any]:
    found = member(document, name)
    return found if isinstance(found, list) else []


def _names(folders: Iterable[object]) -> Iterable[str]:
    """Folders are names, or objects with a name."""
    for each in folders:
        name = each if isinstance(each, str) else text(each, "name")
        if name is not None:
            yield name
