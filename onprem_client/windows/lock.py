"""
One instance at a time on this server.

Windows: a named mutex, which is free again when its process ends. Elsewhere: a lock on the state folder
itself, so that holding it writes nothing.
"""

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onprem_client.errors import AlreadyRunningError, ServerError
from onprem_client.windows.permissions import ensure_private_folder

if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _WAIT_OBJECT_0 = 0x0
    _WAIT_ABANDONED = 0x80
    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _CreateMutexW = _kernel32.CreateMutexW
    _CreateMutexW.argtypes = [wintypes.LPVOID, wintypes.BOOL, wintypes.LPCWSTR]
    _CreateMutexW.restype = wintypes.HANDLE
    _WaitForSingleObject = _kernel32.WaitForSingleObject
    _WaitForSingleObject.argtypes = [wintypes.HANDLE, wintypes.DWORD]
    _WaitForSingleObject.restype = wintypes.DWORD
    _ReleaseMutex = _kernel32.ReleaseMutex
    _ReleaseMutex.argtypes = [wintypes.HANDLE]
    _CloseHandle = _kernel32.CloseHandle
    _CloseHandle.argtypes = [wintypes.HANDLE]

    @contextmanager
    def _locked(folder: Path) -> Iterator[bool]:
        digest = hashlib.sha256(str(folder.resolve()).lower().encode()).hexdigest()[:32]
        handle = _CreateMutexW(None, False, f"Global\\vbr-privatelink-{digest}")
        if not handle:
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            # An abandoned mutex is ours now: its holder was killed, and the journal says how far it came.
            ours = _WaitForSingleObject(handle, 0) in (_WAIT_OBJECT_0, _WAIT_ABANDONED)
            try:
                yield ours
            finally:
                if ours:
                    _ReleaseMutex(handle)
        finally:
            _CloseHandle(handle)

else:
    import fcntl
    import os

    @contextmanager
    def _locked(folder: Path) -> Iterator[bool]:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)


class StateFolderLock:
    """Held by whoever works with one state folder; the folder is closed to others first."""

    def __init__(self, folder: Path, *, ours: bool = False) -> None:
        self._folder = folder
        self._ours = ours

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock, or raise AlreadyRunningError at once."""
        ensure_private_folder(self._folder, ours=self._ours)
        lock = _locked(self._folder)
        try:
            ours = lock.__enter__()
        except OSError as error:
            raise ServerError(f"{self._folder} can't be locked: {error.strerror}") from error
        try:
            if not ours:
                raise AlreadyRunningError(
                    "another instance of the client is at work; try again when it is done"
                )
            yield
        finally:
            lock.__exit__(None, None, None)
