"""A person at the REST API of the stand-in, and at its files, for the tests."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

from sandbox.vbr.revisions import DEFAULT_REVISION, REVISIONS
from sandbox.vbr.stand_in import StandInVbr

REGION = "ap-northeast-1"
SECRET_KEY = "secret/of+the+repository/user"


def eventually(condition: Callable[[], bool], *, within: float = 8.0) -> None:
    """Return when *condition* holds; fail when it takes too long."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class VbrClient:
    """Speaks one revision; keeps its token."""

    def __init__(self, vbr: StandInVbr, ca_file: Path, revision: str = DEFAULT_REVISION) -> None:
        self.vbr = vbr
        self.revision = revision
        self.token = ""
        self._pool = urllib3.PoolManager(ca_certs=str(ca_file), retries=False, timeout=10)

    def close(self) -> None:
        self._pool.clear()

    def send(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        form: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        sent = {"x-api-version": self.revision}
        content: bytes | None = None
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
            content = urlencode(form).encode()
        elif body is not None:
            sent["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        answer = self._pool.request(
            method, self.vbr.url + path, body=content, headers={**sent, **(headers or {})}
        )
        return answer.status, json.loads(answer.data) if answer.data else None

    def log_in(self, password: str | None = None) -> tuple[int, Any]:
        form = {
            "grant_type": REVISIONS[self.revision].password_grant,
            "username": self.vbr.user,
            "password": self.vbr.password if password is None else password,
        }
        status, document = self.send("POST", "/api/oauth2/token", form=form)
        if status == 200:
            self.token = document["access_token"]
        return status, document

    def get(self, path: str) -> Any:
        status, document = self.send("GET", path)
        assert status == 200, document
        return document

    def post(self, path: str, body: object = None) -> Any:
        status, document = self.send("POST", path, body=body)
        assert status in (200, 201, 204), document
        return document

    def add_credential(self) -> str:
        body = {"type": "Amazon", "accessKey": "AKIAEXAMPLE", "secretKey": SECRET_KEY, "description": "S3"}
        return str(self.post("/api/v1/cloudCredentials", body)["id"])

    def mount_server(self) -> dict[str, Any]:
        """Return mountServer as this revision wants it, made from what the server answers."""
        answer = self.get("/api/v1/backupInfrastructure/mountServers/default")
        types = REVISIONS[self.revision].mount_server_types
        if not types:
            return dict(answer)
        first = answer["data"][0]
        settings = {"mountServerId": first["id"], "writeCacheFolder": "C:\\Cache", "vPowerNFSEnabled": False}
        return {"mountServerSettingsType": types[0], "windows": settings}

    def repository_body(self, **changes: Any) -> dict[str, Any]:
        """Return the body of an Amazon S3 repository in this revision."""
        body = {
            "name": "Tokyo",
            "description": "",
            "type": "AmazonS3",
            "account": {
                "credentialsId": self.add_credential(),
                "regionType": "Global",
                "connectionSettings": {"connectionType": "Direct"},
            },
            "bucket": {"regionId": REGION, "bucketName": "backups", "folderName": "vbr01"},
            "mountServer": self.mount_server(),
        }
        return {**body, **changes}

    def finished(self, session: dict[str, Any]) -> dict[str, Any]:
        """Poll a session to its end and return its result."""
        found: dict[str, Any] = {}

        def over() -> bool:
            found.update(self.get(f"/api/v1/sessions/{session['id']}"))
            return bool(found["state"] == "Stopped")

        eventually(over)
        return dict(found["result"])

    def add_repository(self, **changes: Any) -> dict[str, Any]:
        body = self.repository_body(**changes)
        return self.finished(self.post("/api/v1/backupInfrastructure/repositories", body))

    def service(self, name: str = "VeeamBackupSvc") -> dict[str, Any]:
        return dict(json.loads((self.vbr.folder / "services" / f"{name}.json").read_text()))

    def command(self, command: str, name: str = "VeeamBackupSvc") -> None:
        """Ask for *command* as the client does, and wait until it was taken."""
        file = self.vbr.folder / "services" / f"{name}.command"
        file.write_text(command)
        eventually(lambda: not file.exists())

    def restart(self) -> None:
        """Restart the backup service and log in again."""
        self.command("stop")
        eventually(lambda: bool(self.service()["state"] == "stopped"))
        self.command("start")
        eventually(lambda: bool(self.service()["state"] in ("running", "stopped")))
        self.token = ""
        eventually(lambda: self.log_in()[0] == 200)
