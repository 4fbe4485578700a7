"""
Replace a file as a whole, keeping its permissions, though another process may hold it open for a moment.

The new content is staged in the same folder under a fixed name (so a killed run leaves at most that one file,
which the next run overwrites or removes) and then takes the target's place in one step.
"""

import os
import stat
import sys
import time
from pathlib import Path

from onprem_client.errors import ServerError

STAGED_SUFFIX = ".vbr-privatelink-staged"

if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _PATIENCE = 10.0
    # Access denied, sharing and lock violation, unable to remove the replaced file: somebody has it open.
    _HELD_OPEN = {5, 32, 33, 1175}
    _SHARED_WITH_NOBODY = {32, 33}
    # The replaced file is gone and the new one still has its staged name.
    _UNABLE_TO_MOVE_REPLACEMENT = 1176

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _ReplaceFileW = _kernel32.ReplaceFileW
    _ReplaceFileW.argtypes = [
        wintypes.LPCWSTR,
        wintypes.LPCWSTR,
        wintypes.LPCWSTR,
        wintypes.DWORD,
        wintypes.LPVOID,
        wintypes.LPVOID,
    ]
    _ReplaceFileW.restype = wintypes.BOOL

    def _replace(staged: Path, path: Path) -> None:
        """ReplaceFileW gives the new content the old file's security descriptor and attributes."""
        deadline = time.monotonic() + _PATIENCE
        pause = 0.05
        while path.exists():
            if _ReplaceFileW(str(path), str(staged), None, 0, None, None):
                return
            code = ctypes.get_last_error()
            if code == _UNABLE_TO_MOVE_REPLACEMENT:
                break
            if code not in _HELD_OPEN or time.monotonic() > deadline:
                raise ctypes.WinError(code)
            time.sleep(pause)
            pause = min(pause * 2, 1.0)
        staged.replace(path)

    def _read(path: Path) -> bytes:
        """Read; somebody who has it open for himself alone gets the same patience as with a replacement."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return path.read_bytes()
            except PermissionError as error:
                if error.winerror not in _SHARED_WITH_NOBODY or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def _like(_staged: Path, path: Path) -> None:
        """
        Refuse a read-only target now, before anything is stopped; somebody meant that.

        There is nothing else to do: ReplaceFileW keeps the target's permissions.
        """
        try:
            attributes = path.stat().st_file_attributes
        except FileNotFoundError:
            return
        if attributes & stat.FILE_ATTRIBUTE_READONLY:
            raise PermissionError(0, f"{path.name} is read-only; clear that attribute")

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
