"""
Stand-ins for the registry and the service manager, for trying the client out without Windows.

The registry is a JSON file of keys and typed values. A service is a JSON file that somebody else keeps; to
ask for a change, a file `<name>.command` with `stop` or `start` is put beside it, which the other side
removes.
"""

import json
from pathlib import Path
from typing import Any

from onprem_client.errors import ServerError
from onprem_client.windows.files import WholeFiles
from onprem_client.windows.protocols import RegistryValue, ServiceState


class StandInRegistry:
    """A registry in one JSON file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._files = WholeFiles()

    def has_key(self, key: str) -> bool:
        """Say whether there is such a key."""
        return key in self._load()

    def read(self, key: str, name: str) -> RegistryValue | None:
        """Return a value with its type, or None when there is none."""
        entry = self._load().get(key, {}).get(name)
        return None if entry is None else RegistryValue(entry["type"], entry["value"])

    def write(self, key: str, name: str, value: RegistryValue) -> None:
        """Set a value of an existing key."""
        keys = self._load()
        keys[key][name] = {"type": value.type, "value": value.value}
        self._save(keys)

    def delete(self, key: str, name: str) -> None:
        """Remove a value; an absent one is fine."""
        keys = self._load()
        if keys.get(key, {}).pop(name, None) is not None:
            self._save(keys)

    def _load(self) -> dict[str, dict[str, dict[str, Any]]]:
        return _json(self._files, self._file)

    def _save(self, keys: dict[str, dict[str, dict[str, Any]]]) -> None:
        self._files.stage(self._file, (json.dumps(keys, indent=2, sort_keys=True) + "\n").encode())
        self._files.put_in_place(self._file)


class StandInServices:
    """Services in a folder of JSON files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = WholeFiles()

    def state(self, name: str) -> ServiceState:
        """Return the state of a service; one that has not taken its last order yet is pending."""
        # The order is looked at first: the other side writes the state before it removes the order.
        match self._files.read(self._command(name)):
            case b"stop":
                return ServiceState.STOP_PENDING
            case b"start":
                return ServiceState.START_PENDING
        return ServiceState(_json(self._files, self._folder / f"{name}.json")["state"])

    def dependents(self, name: str) -> tuple[str, ...]:
        """Name the services that need this one."""
        return tuple(_json(self._files, self._folder / f"{name}.json").get("dependents", ()))

    def request_stop(self, name: str) -> None:
        """Ask for a stop."""
        self._request(name, b"stop")

    def request_start(self, name: str) -> None:
        """Ask for a start."""
        self._request(name, b"start")

    def _request(self, name: str, command: bytes) -> None:
        self._files.stage(self._command(name), command)
        self._files.put_in_place(self._command(name))

    def _command(self, name: str) -> Path:
        return self._folder / f"{name}.command"


def _json(files: WholeFiles, path: Path) -> dict[str, Any]:
    content = files.read(path)
    if content is None:
        raise ServerError(f"{path} is missing; start the stand-in VBR server first")
    try:
        value = json.loads(content)
    except ValueError as error:
        raise ServerError(f"{path} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ServerError(f"{path} is not a JSON object")
    return value
