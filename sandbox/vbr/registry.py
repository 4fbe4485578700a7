"""
The registry, as a JSON file that stands for the 64-bit view of a Windows registry.

The client writes to it; the backup service reads it when it starts. Names are compared without case,
as Windows does.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from sandbox.vbr.atomic_files import replace_json

KEY = r"HKEY_LOCAL_MACHINE\SOFTWARE\Veeam\Veeam Backup and Replication"
CORE_PATH = "CorePath"
DISABLE_UPDATE = "CloudRegionsDisableUpdate"


class RegistryError(Exception):
    """The registry file can't be read."""


@dataclass(frozen=True, slots=True)
class RegistryFile:
    """One JSON file: key → value name → type and value."""

    path: Path

    def create(self, *, core_path: Path) -> None:
        """Write the registry of a fresh installation."""
        replace_json(self.path, {KEY: {CORE_PATH: {"type": "REG_SZ", "value": str(core_path)}}})

    def core_path(self) -> Path:
        kind, value = self._value(CORE_PATH)
        if kind != "REG_SZ" or not isinstance(value, str) or not value:
            raise RegistryError(f"the registry value {CORE_PATH} is missing or isn't a string")
        return Path(value)

    def keeps_region_list(self) -> bool:
        """
        Say whether the region list must be left alone.

        Only the number 1 in a DWORD counts: a string "1" is a different thing in a registry.
        """
        kind, value = self._value(DISABLE_UPDATE)
        return kind == "REG_DWORD" and type(value) is int and value == 1

    def _value(self, name: str) -> tuple[str, object]:
        try:
            document = json.loads(self.path.read_bytes())
        except (OSError, ValueError) as error:
            raise RegistryError(f"{self.path.name} can't be read: {error}") from error
        entry = _member(_member(document, KEY), name)
        return str(_member(entry, "type")), _member(entry, "value")


def _member(document: object, name: str) -> object:
    if not isinstance(document, dict):
        return None
    return next((value for key, value in document.items() if key.lower() == name.lower()), None)
