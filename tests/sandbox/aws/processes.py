"""What runs, as the kernel sees it."""

from pathlib import Path


def living(group: int) -> set[int]:
    """Return the processes of a process group that have not ended."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _parent, its_group = (folder / "stat").read_text().rpartition(") ")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its_group) == group and state not in "ZX":
            found.add(int(folder.name))
    return found
