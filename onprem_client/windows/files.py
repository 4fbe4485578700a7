"""
Replace a file as a whole, keeping its permissions, though another process may hold it open for a moment.

The new content is staged in the same folder under a fixed name (so a killed run leaves at most that one file,
which the next run overwrites or removes) and then takes the target's place in one step.
"""

import os
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from onprem_client.errors import ServerError

STAGED_SUFFIX = ".vbr-privatelink-staged"

T = TypeVar("T")

if sys.platform == "win32":
    from onprem_client.windows.permissions import copy_access

    _PATIENCE = 10.0
    _PATIENCE_TO_READ = 2.0

    def _replace(staged: Path, path: Path) -> None:
        """One step, unlike ReplaceFileW, which leaves a moment without any file and needs two."""
        _patiently(lambda: staged.replace(path), seconds=_PATIENCE)

    def _read(path: Path) -> bytes:
        return _patiently(path.read_bytes, seconds=0 if path.is_dir() else _PATIENCE_TO_READ)

    def _patiently(attempt: Callable[[], T], *, seconds: float) -> T:
        """Try again while somebody has the file open; Windows calls that a lack of permission."""
        deadline = time.monotonic() + seconds
        pause = 0.05
        while True:
            try:
                return attempt()
            except PermissionError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, 1.0)

    def _like(staged: Path, path: Path) -> None:
        """
        Give the staged file the target's access list: by itself it has the folder's.

        A read-only target is refused now, before anything is stopped; somebody meant that.
        """
        try:
            attributes = path.stat().st_file_attributes
        except FileNotFoundError:
            return
        if attributes & stat.FILE_ATTRIBUTE_READONLY:
            raise PermissionError(0, f"{path.name} is read-only; clear that attribute")
        copy_access(path, staged)

else:

    def _read(path: Path) -> bytes:
        return path.read_bytes()

    def _replace(staged: Path, path: Path) -> None:
        staged.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _like(staged: Path, path: Path) -> None:
        """Give the staged file the target's mode, and its owner where we may."""
        try:
            kept = path.stat()
        except FileNotFoundError:
            return
        staged.chmod(kept.st_mode & 0o7777)
        if (kept.st_uid, kept.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(staged, kept.st_uid, kept.st_gid)


class WholeFiles:
    """Files on this machine."""

    def read(self, path: Path) -> bytes | None:
        """Return the content, or None when there is no such file."""
        try:
            return _read(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ServerError(f"{path} can't be read: {_reason(error)}") from error

    def stage(self, path: Path, content: bytes) -> None:
        """Write *content* beside *path*, through to the disk; the folder is made when it is missing."""
        staged = _staged(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            staged.unlink(missing_ok=True)
            # "x": what somebody else puts there meanwhile, a link perhaps, is never written through.
            descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            _like(staged, path)
        except OSError as error:
            raise ServerError(f"{staged} can't be written: {_reason(error)}") from error

    def put_in_place(self, path: Path) -> None:
        """Let the staged content take the place of *path*."""
        try:
            _replace(_staged(path), path)
        except OSError as error:
            raise ServerError(f"{path} can't be replaced: {_reason(error)}") from error

    def discard(self, path: Path) -> None:
        """Remove what was staged for *path*, if anything."""
        try:
            _staged(path).unlink(missing_ok=True)
        except OSError as error:
            raise ServerError(f"{_staged(path)} can't be removed: {_reason(error)}") from error


_BINARY: int = getattr(os, "O_BINARY", 0)


def _staged(path: Path) -> Path:
    return path.with_name(path.name + STAGED_SUFFIX)


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
