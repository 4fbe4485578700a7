"""
AmazonS3Regions.xml on the server: replaced as a whole, and only if it still is what the plan saw.

What goes into it is decided by the pure functions of `region_xml`.
"""

from pathlib import Path

from onprem_client.errors import ChangedMeanwhileError, RegionFileError
from onprem_client.plan import Change
from onprem_client.windows.protocols import Files


def read(files: Files, path: Path) -> bytes:
    """Return the file's bytes."""
    content = files.read(path)
    if content is None:
        raise RegionFileError(f"{path} does not exist; repair the installation of Veeam Backup & Replication")
    return content


def change(files: Files, path: Path, *, before: bytes, after: bytes, shown: tuple[str, str]) -> Change:
    """Describe the step from *before* to *after*; what somebody else put there meanwhile is left."""

    def do() -> None:
        now = files.read(path)
        # A missing file: we were killed, or failed, between the two halves of a replacement.
        if now not in (before, after, None):
            raise ChangedMeanwhileError(f"{path} was changed by somebody else while we were at work")
        if now == after:
            files.discard(path)
        else:
            files.put_in_place(path)

    def undo() -> None:
        if files.read(path) in (after, None):
            files.stage(path, before)
            files.put_in_place(path)

    return Change(
        resource=str(path),
        before=shown[0],
        after=shown[1],
        prepare=lambda: files.stage(path, after),
        do=do,
        undo=undo,
    )
