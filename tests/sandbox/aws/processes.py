"""What runs, as the kernel sees it."""

from collections.abc import Iterator
from pathlib import Path


def living(group: int) -> set[int]:
    """Return the processes of a process group that have not ended."""
    return {process for process, its_group, _session in _living() if its_group == group}


def living_in_session(session: int) -> set[int]:
    """Return the processes of a session that have not ended, whatever their groups."""
    return {process for process, _group, its_session in _living() if its_session == session}


def _living() -> Iterator[tuple[int, int, int]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(") ")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, _parent, group, session = fields[:4]
        if state not in "ZX":
            yield int(folder.name), int(group), int(session)
