"""What the page says of the backup server: its files and services, as an administrator would look at them."""

import json
from pathlib import Path
from typing import Any

from sandbox.console_page.dashboards import RefusedError
from sandbox.scheduled_task import ScheduledTask
from sandbox.vbr.regions import FILE_NAME, RegionList, RegionListError
from sandbox.vbr.services import BACKUP_SERVICE

# The client's log lines are for people; the last few say what it did.
_LINES_TO_SHOW = 12


class BackupServerPanel:
    """Reads the stand-in's folder anew each time; *task* is None when nobody may run the client from here."""

    def __init__(self, *, server: str, folder: Path, region: str, task: ScheduledTask | None) -> None:
        self._server = server
        self._folder = folder
        self._region = region
        self.task = task

    def facts(self) -> dict[str, Any]:
        """Return name, service, the region's S3 hosts and the last run of the client, as JSON holds them."""
        try:
            service, regions = self._read()
        except (OSError, ValueError, RegionListError) as error:
            # Somebody has edited the files by hand, as one may here.
            raise RefusedError(f"The backup server's files can't be read: {error}") from error
        region = regions.find(self._region)
        return {
            "server": self._server,
            "file": FILE_NAME,
            "region": self._region,
            "hosts": list(region.endpoints) if region is not None else [],
            "service": {"state": service["state"], "starts": service["starts"]},
            "client": self._client(),
        }

    def _read(self) -> tuple[dict[str, Any], RegionList]:
        service = json.loads((self._folder / "services" / f"{BACKUP_SERVICE}.json").read_text())
        # The client replaces the file as a whole, so what is read here is always one of its states.
        regions = RegionList.parse((self._folder / "Backup" / FILE_NAME).read_bytes())
        return service, regions

    def _client(self) -> dict[str, Any] | None:
        if self.task is None:
            return None
        last = self.task.last
        return {
            "every": self.task.every,
            "running": self.task.running,
            "last": None
            if last is None
            else {
                "at": last.at.isoformat(timespec="seconds"),
                "code": last.ended.code,
                "output": "\n".join(last.ended.output.splitlines()[-_LINES_TO_SHOW:]),
            },
        }
