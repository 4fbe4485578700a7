"""
Tell the cloud, twice a day, that this server's scheduled task runs and reaches Parameter Store.

A report is written when something has changed, which may be years ago: without this, a server that nobody
hears of any more would look like one where all is well. It starts nothing in the cloud. When it was last told
is kept in a file of its own, because it is no change of this server that a journal would have to take back.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from contract import names
from contract.documents import SCHEMA_VERSION
from contract.parameters import seen_parameter
from onprem_client import __version__
from onprem_client.clock import Clock
from onprem_client.configuration import Configuration
from onprem_client.errors import ClientError, CloudError
from onprem_client.parameter_store import ParameterStores
from onprem_client.windows.protocols import Files

INTERVAL = timedelta(hours=12)


class Heartbeat:
    """The heartbeats of one server to all its sites."""

    def __init__(
        self, configuration: Configuration, parameters: ParameterStores, clock: Clock, files: Files
    ) -> None:
        self._configuration = configuration
        self._parameters = parameters
        self._clock = clock
        self._files = files

    def beat(self) -> ClientError | None:
        """Tell each site that hasn't been told for half a day; return what stood in the way."""
        now, told = self._clock.now(), self._told()
        problem: ClientError | None = None
        for site in self._configuration.sites:
            if not _is_due(told.get(site.name), now):
                continue
            try:
                self._parameters(site.region).put(
                    seen_parameter(site.name, self._configuration.server), self._word(now)
                )
                told = {**told, site.name: now}
                self._remember(told)
            except ClientError as error:
                problem = problem or CloudError(
                    f"that this server is there could not be told to site {site.name}; the next run tries "
                    f"again: {error}"
                )
        return problem

    def _word(self, now: str) -> str:
        return json.dumps(
            {
                "schema_version": SCHEMA_VERSION,
                "server": self._configuration.server,
                "client_version": __version__,
                "at": now,
            }
        )

    @property
    def _file(self) -> Path:
        return self._configuration.state_folder / "seen.json"

    def _told(self) -> Mapping[names.SiteName, str]:
        """What can't be read was never told: once too often does no harm."""
        content = self._files.read(self._file)
        try:
            value = json.loads(content or b"{}")
        except ValueError:
            return {}
        if not isinstance(value, dict):
            return {}
        return {names.SiteName(site): at for site, at in value.items() if isinstance(at, str)}

    def _remember(self, told: Mapping[names.SiteName, str]) -> None:
        self._files.stage(self._file, (json.dumps(dict(told), indent=2) + "\n").encode())
        self._files.put_in_place(self._file)


def _is_due(told: str | None, now: str) -> bool:
    """A clock that was ahead must not silence a server until that time has come."""
    if told is None:
        return True
    try:
        length = datetime.fromisoformat(now) - datetime.fromisoformat(told)
    except (ValueError, TypeError):
        return True
    return not timedelta(0) <= length < INTERVAL
