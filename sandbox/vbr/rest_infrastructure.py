"""The REST calls about the server, its credentials, object storage and repositories."""

from collections.abc import Mapping
from datetime import UTC, datetime

from sandbox.vbr.backup_server import BackupServer
from sandbox.vbr.object_storage import CloudCredential, Folder, ObjectStorageError, Place
from sandbox.vbr.repositories import Repository
from sandbox.vbr.request_log import RequestLog
from sandbox.vbr.request_shapes import (
    AMAZON_S3,
    NEW_SECRET,
    RESCAN,
    S3_COMPATIBLE,
    browse,
    credential,
    new_folder,
    repository,
)
from sandbox.vbr.rest_calls import (
    PAGE,
    Answer,
    BadRequestError,
    Call,
    NotFoundError,
    Route,
    flag,
    matches,
    page,
)
from sandbox.vbr.rest_work import session_document
from sandbox.vbr.revisions import Revision
from sandbox.vbr.shapes import Json, Shape

_REPOSITORIES = "/api/v1/backupInfrastructure/repositories"
_WRITE_CACHE = r"C:\ProgramData\Veeam\Backup\IRCache"
_WRITE_CACHE_LINUX = "/var/lib/veeam/IRCache"


class InfrastructureCalls:
    """Calls of one revision on one server."""

    def __init__(self, server: BackupServer, revision: Revision, log: RequestLog) -> None:
        self._server = server
        self._revision = revision
        self._log = log
        self._browsed: dict[str, Json] = {}

    def routes(self) -> list[Route]:
        cache = frozenset({"resetCache"} if self._revision.browser_resets_cache else ())
        credentials = "/api/v1/cloudCredentials"
        names = PAGE | {"nameFilter", "typeFilter"}
        routes = [
            Route(method="GET", path="/api/v1/serverInfo", handle=self._server_info),
            Route(method="GET", path=credentials, handle=self._credentials, query=names),
            Route(
                method="POST",
                path=credentials,
                handle=self._add_credential,
                shape=lambda _body: credential(self._revision),
            ),
            Route(
                method="POST",
                path=credentials + "/{id}/changeSecretKey",
                handle=self._change_secret,
                shape=lambda _body: NEW_SECRET,
            ),
            Route(
                method="POST",
                path="/api/v1/cloudBrowser",
                handle=self._browse,
                query=cache,
                shape=lambda body: browse(_service_type(body)),
            ),
            Route(
                method="POST",
                path="/api/v1/cloudBrowser/newFolder",
                handle=self._new_folder,
                shape=lambda body: new_folder(_service_type(body)),
            ),
            Route(method="GET", path=_REPOSITORIES, handle=self._repositories, query=names),
            Route(
                method="POST",
                path=_REPOSITORIES,
                handle=self._add_repository,
                query=frozenset({"overwriteOwner"}),
                shape=self._repository_shape,
            ),
            Route(method="GET", path=_REPOSITORIES + "/states", handle=self._states, query=names),
            Route(method="GET", path=_REPOSITORIES + "/{id}", handle=self._repository),
            Route(
                method="GET",
                path="/api/v1/backupInfrastructure/managedServers",
                handle=self._managed_servers,
                query=names,
            ),
            Route(
                method="GET",
                path="/api/v1/backupInfrastructure/mountServers/default",
                handle=self._default_mount_server,
            ),
        ]
        if self._revision.rescans:
            routes.append(
                Route(
                    method="POST",
                    path=_REPOSITORIES + "/rescan",
                    handle=self._rescan,
                    shape=lambda _body: RESCAN,
                )
            )
        return routes

    def forget(self) -> None:
        """Drop what the browser remembers: it doesn't outlive the service."""
        self._browsed.clear()

    def _server_info(self, _call: Call) -> Answer:
        everything: Json = {
            "vbrId": self._server.id,
            "name": self._server.this_server.name,
            "buildVersion": f"{self._revision.product}.1000",
            "patches": [],
            "databaseVendor": "PostgreSql",
            "sqlServerVersion": "15.0",
            "platform": self._server.platform,
            "veeamRegistration": {"isRegistered": False},
        }
        return Answer(200, {name: everything[name] for name in self._revision.server_info})

    def _credentials(self, call: Call) -> Answer:
        pattern = call.query.get("nameFilter")
        found = [each for each in self._server.credentials.all() if matches(pattern, each.access_key)]
        return page(found, call.query, self._credential_document)

    def _add_credential(self, call: Call) -> Answer:
        body = call.body
        added = CloudCredential(
            access_key=body["accessKey"],
            secret_key=body["secretKey"],
            description=body.get("description") or "",
            unique_id=body.get(self._revision.unique_id) or "",
        )
        self._log.hide(added.secret_key)
        self._server.credentials.add(added)
        return Answer(201, self._credential_document(added))

    def _change_secret(self, call: Call) -> Answer:
        found = self._credential(call.ids["id"])
        self._log.hide(call.body["newSecretKey"])
        found.secret_key = call.body["newSecretKey"]
        found.modified_at = datetime.now(UTC)
        self.forget()
        return Answer(self._revision.new_secret_status, self._credential_document(found))

    def _credential_document(self, each: CloudCredential) -> Json:
        document: Json = {
            "id": each.id,
            "type": "Amazon",
            "accessKey": each.access_key,
            "description": each.description,
            self._revision.unique_id: each.unique_id,
        }
        if self._revision.credential_has_last_modified:
            document["lastModified"] = each.modified_at.isoformat()
        return document

    def _credential(self, credential_id: str) -> CloudCredential:
        found = self._server.credentials.find(credential_id)
        if found is None:
            raise NotFoundError(f"there is no cloud credential {credential_id}")
        return found

    def _browse(self, call: Call) -> Answer:
        body = call.body
        self._known_server(body.get("gatewayServerId"))
        remembered = self._browsed.get(repr(sorted(body.items())))
        if remembered is not None and not flag(call.query, "resetCache"):
            return Answer(200, remembered)
        document = self._browsed_now(body)
        if self._revision.browser_resets_cache:
            self._browsed[repr(sorted(body.items()))] = document
        return Answer(200, document)

    def _browsed_now(self, body: Json) -> Json:
        filters = body.get("filters") or {}
        region_id = body.get("regionId") or filters.get("regionId")
        document: Json = {"credentialsId": body["credentialsId"], "serviceType": body["serviceType"]}
        if body["serviceType"] == S3_COMPATIBLE:
            document["connectionPoint"] = body["servicePoint"]
        else:
            document["regionType"] = body["regionType"]
        if region_id is None:
            regions = self._server.regions
            document["regions"] = [
                {"id": each.id, "name": each.name, "buckets": []}
                for each in (regions.regions if regions is not None else ())
                if each.type == body["regionType"]
            ]
            return document
        self._credential(body["credentialsId"])
        place = _place(body, region_id=region_id, service_point=body.get("servicePoint"))
        try:
            found = self._server.storage.browse(place, bucket=filters.get("bucketName"))
        except ObjectStorageError as error:
            raise BadRequestError(str(error)) from error
        buckets = [{"name": name, "folders": folders} for name, folders in found.items()]
        document["regions"] = [{"id": region_id, "name": region_id, "buckets": buckets}]
        return document

    def _new_folder(self, call: Call) -> Answer:
        body = call.body
        self._known_server(body.get("hostId"))
        self._credential(body["credentialsId"])
        place = _place(body, region_id=body["regionId"], service_point=body.get("connectionPoint"))
        folder = Folder(place=place, bucket=body["bucketName"], name=_folder_name(body["newFolderName"]))
        try:
            self._server.storage.create_folder(folder)
        except ObjectStorageError as error:
            raise BadRequestError(str(error)) from error
        self.forget()
        return Answer(201)

    def _repository_shape(self, body: Json) -> Shape:
        if body.get("type") not in (AMAZON_S3, S3_COMPATIBLE):
            raise BadRequestError(
                f"the stand-in adds repositories of type {AMAZON_S3} and {S3_COMPATIBLE} only"
            )
        return repository(self._revision, body["type"])

    def _add_repository(self, call: Call) -> Answer:
        body = call.body
        account, bucket = body["account"], body["bucket"]
        self._credential(account["credentialsId"])
        self._check_connection(account["connectionSettings"])
        self._check_mount_server(body.get("mountServer"))
        if self._server.repositories.named(body["name"]) is not None:
            raise BadRequestError(f"there is already a repository named {body['name']}")
        immutability = bucket.get("immutability") or {"isEnabled": False}
        if immutability["isEnabled"] and not immutability.get("daysCount"):
            raise BadRequestError("bucket.immutability.daysCount is required when immutability is enabled")
        place = Place(
            service_type=body["type"],
            credentials_id=account["credentialsId"],
            region_id=bucket.get("regionId") or account["regionId"],
            region_type=account.get("regionType") or "",
            service_point=account.get("servicePoint") or "",
        )
        folder = Folder(
            place=place,
            bucket=bucket["bucketName"],
            name=_folder_name(bucket["folderName"]),
            immutability_days=immutability["daysCount"] if immutability["isEnabled"] else 0,
        )
        session = self._server.add_repository(
            Repository(settings=body, folder=folder),
            folder,
            overwrite_owner=flag(call.query, "overwriteOwner"),
        )
        return Answer(201, session_document(session, self._revision))

    def _check_connection(self, connection: Json) -> None:
        gateways = connection.get("gatewayServerIds") or []
        if connection["connectionType"] == "SelectedGateway" and not gateways:
            raise BadRequestError("account.connectionSettings.gatewayServerIds must name a gateway server")
        for gateway in gateways:
            self._known_server(gateway)

    def _check_mount_server(self, mount_server: Json | None) -> None:
        if mount_server is None:
            return
        if not self._revision.mount_server_types:
            self._known_server(mount_server["mountServerId"])
            return
        kind = mount_server["mountServerSettingsType"].lower()
        for system in ("windows", "linux") if kind == "both" else (kind,):
            settings = mount_server.get(system)
            if settings is None:
                raise BadRequestError(f"mountServer.{system} is required")
            self._known_server(settings["mountServerId"])

    def _known_server(self, server_id: str | None) -> None:
        if server_id is not None and server_id.lower() != self._server.this_server.id:
            raise NotFoundError(f"there is no managed server {server_id}")

    def _repositories(self, call: Call) -> Answer:
        return page(self._found(call.query), call.query, lambda each: {"id": each.id, **each.settings})

    def _repository(self, call: Call) -> Answer:
        found = self._server.repositories.find(call.ids["id"])
        if found is None:
            raise NotFoundError(f"there is no repository {call.ids['id']}")
        return Answer(200, {"id": found.id, **found.settings})

    def _states(self, call: Call) -> Answer:
        return page(self._found(call.query), call.query, self._state_document)

    def _found(self, query: Mapping[str, str]) -> list[Repository]:
        return [
            each
            for each in self._server.repositories.all()
            if matches(query.get("nameFilter"), each.name) and query.get("typeFilter", each.type) == each.type
        ]

    def _state_document(self, each: Repository) -> Json:
        document: Json = {
            "id": each.id,
            "name": each.name,
            "description": each.description,
            "type": each.type,
            "hostId": self._server.this_server.id,
            "hostName": self._server.this_server.name,
            "capacityGB": 0,
            "freeGB": 0,
            "usedSpaceGB": 0,
        }
        if self._revision.states_say_online:
            document["isOnline"] = each.online
        if self._revision.states_say_out_of_date:
            document["isOutOfDate"] = False
        return document

    def _rescan(self, call: Call) -> Answer:
        found = [self._server.repositories.find(each) for each in call.body["repositoryIds"]]
        known = [each for each in found if each is not None]
        if not known or len(known) < len(found):
            raise NotFoundError("repositoryIds names a repository that doesn't exist, or none")
        return Answer(201, session_document(self._server.rescan(known), self._revision))

    def _managed_servers(self, call: Call) -> Answer:
        this = self._server.this_server
        found = [this] if matches(call.query.get("nameFilter"), this.name) else []
        return page(
            found,
            call.query,
            lambda each: {
                "id": each.id,
                "name": each.name,
                "type": f"{self._server.platform}Host",
                "description": "This backup server",
            },
        )

    def _write_cache(self) -> str:
        return _WRITE_CACHE if self._server.platform == "Windows" else _WRITE_CACHE_LINUX

    def _default_mount_server(self, call: Call) -> Answer:
        settings: Json = {"writeCacheFolder": self._write_cache(), "vPowerNFSEnabled": True}
        this = self._server.this_server
        if self._revision.default_mount_server_is_list:
            return page(
                [this],
                call.query,
                lambda each: {"id": each.id, "name": each.name, "type": self._server.platform, **settings},
            )
        return Answer(200, {"mountServerId": this.id, **settings})


def _service_type(body: Json) -> str:
    value = body.get("serviceType")
    if value not in (AMAZON_S3, S3_COMPATIBLE):
        raise BadRequestError(f"serviceType must be one of {AMAZON_S3}, {S3_COMPATIBLE}")
    return str(value)


def _place(body: Json, *, region_id: str, service_point: str | None) -> Place:
    return Place(
        service_type=body["serviceType"],
        credentials_id=body["credentialsId"],
        region_id=region_id,
        region_type=body.get("regionType") or "",
        service_point=service_point or "",
    )


def _folder_name(name: str) -> str:
    if "/" in name or "\\" in name or name.strip() != name or name in (".", ".."):
        raise BadRequestError("a folder name is one name, without slashes")
    return name
