"""
The stand-in as the sandbox sees it: options in, a running backup server out.

    with StandInVbr(VbrOptions(folder=..., tls=..., connector=...)) as vbr:
        print(vbr.url, vbr.user, vbr.password, vbr.install_dir)

Nothing outlives the `with` block but the files in its folder.
"""

import secrets
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox.vbr import faults
from sandbox.vbr.access_tokens import AccessTokens
from sandbox.vbr.backup_server import BackupServer
from sandbox.vbr.faults import Faults
from sandbox.vbr.https_server import HttpsServer
from sandbox.vbr.request_log import RequestLog
from sandbox.vbr.rest_api import RestApi
from sandbox.vbr.revisions import DEFAULT_REVISION, REVISIONS
from sandbox.vbr.s3 import S3Connector
from sandbox.vbr.services import BACKUP_SERVICE, REST_SERVICE, Service, ServiceManager, ServiceState

_PATIENCE = 30.0
_PAUSE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class VbrOptions:
    """Everything about the stand-in that can be chosen; durations are in seconds."""

    folder: Path
    tls: ssl.SSLContext
    connector: S3Connector
    port: int = 0
    revision: str = DEFAULT_REVISION
    older_revisions: tuple[str, ...] = ()
    """Further revisions that are accepted; whether a real server accepts its older ones isn't published."""
    user: str = "administrator"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(18), repr=False)
    token_lifetime: float = 900.0
    restart_forgets_tokens: bool = True
    start_duration: float = 0.3
    stop_duration: float = 0.3
    rest_delay: float = 0.2
    """How long REST answers 503 after the backup service has started."""
    rest_depends_on_backup_service: bool = False
    backup_interval: float = 1.0
    session_duration: float = 0.5
    platform: str = "Windows"
    """Windows, or Linux for the appliance: then there is no region file and no registry to edit."""
    folder_must_exist: bool = False
    """Refuse a repository whose folder wasn't made through cloudBrowser/newFolder."""


class StandInVbr:
    """A backup server on 127.0.0.1, from `start` to `stop`."""

    def __init__(self, options: VbrOptions) -> None:
        self._options = options
        folder = options.folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / faults.FILE_NAME).unlink(missing_ok=True)
        self._server = BackupServer(
            folder,
            options.connector,
            backup_interval=options.backup_interval,
            session_duration=options.session_duration,
            folder_must_exist=options.folder_must_exist,
            platform=options.platform,
        )
        self._server.install()
        log = RequestLog(folder / "requests.jsonl")
        log.hide(options.password)
        self._tokens = AccessTokens(
            user=options.user, password=options.password, lifetime=self._token_lifetime
        )
        self._api = RestApi(
            self._server,
            {name: REVISIONS[name] for name in (options.revision, *options.older_revisions)},
            self._tokens,
            log,
            available=self._available,
        )
        self._services = ServiceManager(
            folder / "services",
            [
                Service(
                    name=BACKUP_SERVICE,
                    display_name="Veeam Backup Service",
                    on_start=self._server.read_configuration,
                    on_running=self._server.come_up,
                    on_stop=self._go_down,
                ),
                Service(
                    name=REST_SERVICE,
                    display_name="Veeam Backup Server RESTful API Service",
                    needs=BACKUP_SERVICE if options.rest_depends_on_backup_service else None,
                ),
            ],
            start_duration=options.start_duration,
            stop_duration=options.stop_duration,
            faults=self._server.faults,
        )
        self._https = HttpsServer(
            options.tls,
            self._api.handle,
            listening=lambda: self._services.state(REST_SERVICE) is ServiceState.RUNNING,
            port=options.port,
        )

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._https.port}"

    @property
    def user(self) -> str:
        return self._options.user

    @property
    def password(self) -> str:
        return self._options.password

    @property
    def folder(self) -> Path:
        return self._options.folder

    @property
    def install_dir(self) -> Path:
        return self._options.folder / "Backup"

    def start(self) -> None:
        """Start the services and return when REST answers."""
        self._https.begin()
        self._server.jobs.begin()
        self._services.begin()
        self._await_available()

    def stop(self) -> None:
        """End every thread and connection, in the order that lets none of them start anything new."""
        self._https.close()
        self._services.end()
        self._server.jobs.end()
        self._server.go_down()
        self._server.sessions.join()
        self._options.connector.close()

    def inject(self, wanted: Faults) -> None:
        """Let things go wrong from now on; `inject(Faults())` ends it."""
        wanted.write(self.folder)

    def upgrade(self) -> None:
        """Do what an upgrade does: its own region list, and a restart of the backup service."""
        self._services.ask(BACKUP_SERVICE, "stop")
        self._await(ServiceState.STOPPED)
        self._server.upgrade()
        self._services.ask(BACKUP_SERVICE, "start")
        self._await_available()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _token_lifetime(self) -> float:
        fault = self._server.faults().token_lifetime
        return self._options.token_lifetime if fault is None else fault

    def _available(self) -> bool:
        return self._services.ready(BACKUP_SERVICE, after=self._options.rest_delay)

    def _go_down(self) -> None:
        self._server.go_down()
        self._api.forget()
        if self._options.restart_forgets_tokens:
            self._tokens.forget_all()

    def _await(self, state: ServiceState) -> None:
        deadline = time.monotonic() + _PATIENCE
        while self._services.state(BACKUP_SERVICE) is not state:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{BACKUP_SERVICE} isn't {state} after {_PATIENCE:.0f} seconds")
            time.sleep(_PAUSE)

    def _await_available(self) -> None:
        self._await(ServiceState.RUNNING)
        while not self._available() or self._services.state(REST_SERVICE) is not ServiceState.RUNNING:
            time.sleep(_PAUSE)
