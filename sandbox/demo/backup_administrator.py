"""
What the backup administrator does in the VBR console: add the bucket as a repository.

By REST, as the stand-in's default revision wants it. A later version of the client does this by itself.
"""

import http
import time
from typing import Any

import urllib3

from sandbox.aws import Credentials

_PATIENCE_SECONDS = 60.0


class RefusedError(Exception):
    """VBR refused a request; `status` is the HTTP status."""

    def __init__(self, message: str, *, status: int) -> None:
        self.status = status
        super().__init__(message)


class BackupAdministrator:
    """Signed in to the stand-in VBR server."""

    def __init__(self, *, url: str, ca_file: str, user: str, password: str, revision: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(ca_certs=ca_file, retries=False)
        self._headers = {"x-api-version": revision}
        token = self._signed_in(
            {"grant_type": "password", "username": user, "password": password},
        )
        self._headers["Authorization"] = f"Bearer {token['access_token']}"

    def add_repository(
        self, name: str, *, bucket: str, folder: str, region: str, keys: Credentials
    ) -> dict[str, Any]:
        """Add credentials and repository; return the session when it has ended."""
        credential = self._send(
            "POST",
            "/api/v1/cloudCredentials",
            json={
                "type": "Amazon",
                "accessKey": keys.access_key_id,
                "secretKey": keys.secret_access_key,
                "description": "repository user of the bucket",
            },
        )
        mount_server = self._send("GET", "/api/v1/backupInfrastructure/mountServers/default")
        session = self._send(
            "POST",
            "/api/v1/backupInfrastructure/repositories",
            json={
                "name": name,
                "description": "through the interface endpoint",
                "type": "AmazonS3",
                "account": {
                    "credentialsId": credential["id"],
                    "regionType": "Global",
                    "connectionSettings": {"connectionType": "Direct"},
                },
                "bucket": {"regionId": region, "bucketName": bucket, "folderName": folder},
                "mountServer": mount_server,
            },
        )
        return self._finished(session["id"])

    def _signed_in(self, form: dict[str, str]) -> dict[str, Any]:
        """Sign in; after a restart of the service REST answers 503 for a while."""
        give_up = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return self._send("POST", "/api/oauth2/token", fields=form)
            except RefusedError as error:
                if error.status != http.HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > give_up:
                    raise
                time.sleep(0.1)

    def _finished(self, session: str) -> dict[str, Any]:
        give_up = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < give_up:
            state = self._send("GET", f"/api/v1/sessions/{session}")
            if state["state"] == "Stopped":
                return state
            time.sleep(0.1)
        raise RefusedError(f"session {session} did not end within {_PATIENCE_SECONDS:.0f} s", status=0)

    def _send(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        if "fields" in content:
            content["encode_multipart"] = False
        answer = self._pool.request(method, self._url + path, headers=dict(self._headers), **content)
        body = answer.json() if answer.data else {}
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise RefusedError(f"{method} {path}: {answer.status}: {body}", status=answer.status)
        result: dict[str, Any] = body
        return result
