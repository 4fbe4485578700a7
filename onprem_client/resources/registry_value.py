"""
The registry value that stops VBR from refreshing its list of regions, and with it our endpoint.

While our endpoint is in the region file the value is 1, at every moment: it is set before the file changes
and taken back after the file has.
"""

from pathlib import Path, PureWindowsPath

from onprem_client.errors import ChangedMeanwhileError, ServerError
from onprem_client.plan import Change
from onprem_client.windows.protocols import Registry, RegistryValue

KEY = r"HKEY_LOCAL_MACHINE\SOFTWARE\Veeam\Veeam Backup and Replication"
NAME = "CloudRegionsDisableUpdate"
WANTED = RegistryValue("REG_DWORD", 1)

_CORE_PATH = "CorePath"
_DEFAULT_FOLDER = PureWindowsPath(r"C:\Program Files\Veeam\Backup and Replication\Backup")
_FILE = "AmazonS3Regions.xml"


def read(registry: Registry) -> RegistryValue | None:
    """Return the value as it is; raises ServerError where VBR is not installed."""
    if not registry.has_key(KEY):
        raise ServerError(f"the registry has no key {KEY}: Veeam Backup & Replication is not installed here")
    return registry.read(KEY, NAME)


def region_file(registry: Registry) -> Path:
    """Return where VBR keeps its list of regions."""
    folder = registry.read(KEY, _CORE_PATH)
    return Path(str(folder.value if folder else _DEFAULT_FOLDER)) / _FILE


def change(registry: Registry, *, before: RegistryValue | None, after: RegistryValue | None) -> Change:
    """Describe the step from *before* to *after*; a third value is somebody else's and is left."""

    def do() -> None:
        now = registry.read(KEY, NAME)
        if now not in (before, after):
            raise ChangedMeanwhileError(f"registry value {NAME} was changed by somebody else, to {now}")
        if now != after:
            put(after)

    def undo() -> None:
        if registry.read(KEY, NAME) == after:
            put(before)

    def put(target: RegistryValue | None) -> None:
        if target is None:
            registry.delete(KEY, NAME)
        else:
            registry.write(KEY, NAME, target)

    return Change(
        resource=f"registry value {KEY}\\{NAME}",
        before=None if before is None else str(before),
        after=None if after is None else str(after),
        do=do,
        undo=undo,
    )
