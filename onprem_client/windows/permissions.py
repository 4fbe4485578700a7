"""
Who may read and change what the client keeps: SYSTEM and Administrators on Windows, the owner elsewhere.

Windows says it with an explicit access list that inherits nothing; `strangers` is the rule, a pure function
of the descriptor's text form. Whoever could write into the state folder could make the client, which runs as
SYSTEM, write what they like: so an open folder is closed, or refused, before anything in it is believed.
"""

import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

from onprem_client.errors import ServerError

# SYSTEM and Administrators, by the short and the long form of their identifiers.
_TRUSTED = {"SY", "BA", "S-1-5-18", "S-1-5-32-544"}
_OWNER = re.compile(r"O:([A-Z]{2}|S-[0-9-]+)")
_ENTRY = re.compile(r"\(([^()]*)\)")


def strangers(descriptor: str, *, me: str) -> tuple[str, ...]:
    """
    Name who else, besides SYSTEM, Administrators and *me*, owns something or is let in by its descriptor.

    Any right counts, not only reading: nobody else has business there. No access list lets everyone in.
    """
    trusted = {*_TRUSTED, me}
    owner = _OWNER.search(descriptor)
    found = [owner[1]] if owner is not None and owner[1] not in trusted else []
    _before, listed, entries = descriptor.partition("D:")
    entries = entries.partition("S:")[0]  # The audit list, which lets nobody in.
    if not listed or "NO_ACCESS_CONTROL" in entries:
        return (*found, "everyone")
    if "(X" in entries:
        return (*found, "somebody under a condition")
    for entry in _ENTRY.findall(entries):
        kind, *_middle, who = entry.split(";")
        if kind == "A" and who not in trusted and who not in found:
            found.append(who)
        elif kind not in ("A", "D"):
            found.append(f"an entry of the kind {kind}")
    return tuple(found)


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    # Owner Administrators; nothing inherited; full access for SYSTEM and Administrators and nobody else.
    _FOLDER = "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"
    _FILE = "O:BAD:P(A;;FA;;;SY)(A;;FA;;;BA)"

    _OWNER_ONLY = 0x1
    _LIST = 0x4
    _PROTECTED_LIST = 0x80000000
    _UNPROTECTED_LIST = 0x20000000
    _REVISION = 1
    _ALREADY_EXISTS = 183
    _INVALID_OWNER = 1307
    _GENERIC_WRITE = 0x40000000
    _CREATE_NEW = 1
    _NORMAL = 0x80
    _TOKEN_QUERY = 0x8
    _TOKEN_USER = 1
    _INVALID_HANDLE = wintypes.HANDLE(-1).value

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _advapi32 = ctypes.WinDLL("advapi32", use_last_error=True)

    class _Attributes(ctypes.Structure):
        _fields_ = (
            ("length", wintypes.DWORD),
            ("descriptor", wintypes.LPVOID),
            ("inherited", wintypes.BOOL),
        )

    _LocalFree = _kernel32.LocalFree
    _LocalFree.argtypes = [wintypes.LPVOID]
    _CloseHandle = _kernel32.CloseHandle
    _CloseHandle.argtypes = [wintypes.HANDLE]
    _GetCurrentProcess = _kernel32.GetCurrentProcess
    _GetCurrentProcess.restype = wintypes.HANDLE
    _CreateDirectoryW = _kernel32.CreateDirectoryW
    _CreateDirectoryW.argtypes = [wintypes.LPCWSTR, ctypes.POINTER(_Attributes)]
    _CreateFileW = _kernel32.CreateFileW
    _CreateFileW.argtypes = [
        wintypes.LPCWSTR,
        wintypes.DWORD,
        wintypes.DWORD,
        ctypes.POINTER(_Attributes),
        wintypes.DWORD,
        wintypes.DWORD,
        wintypes.HANDLE,
    ]
    _CreateFileW.restype = wintypes.HANDLE
    _FromText = _advapi32.ConvertStringSecurityDescriptorToSecurityDescriptorW
    _FromText.argtypes = [
        wintypes.LPCWSTR,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.LPVOID),
        wintypes.LPVOID,
    ]
    _ToText = _advapi32.ConvertSecurityDescriptorToStringSecurityDescriptorW
    _ToText.argtypes = [
        wintypes.LPVOID,
        wintypes.DWORD,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.LPWSTR),
        wintypes.LPVOID,
    ]
    _SidToText = _advapi32.ConvertSidToStringSidW
    _SidToText.argtypes = [wintypes.LPVOID, ctypes.POINTER(wintypes.LPWSTR)]
    _GetFileSecurityW = _advapi32.GetFileSecurityW
    _GetFileSecurityW.argtypes = [
        wintypes.LPCWSTR,
        wintypes.DWORD,
        wintypes.LPVOID,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.DWORD),
    ]
    _SetFileSecurityW = _advapi32.SetFileSecurityW
    _SetFileSecurityW.argtypes = [wintypes.LPCWSTR, wintypes.DWORD, wintypes.LPVOID]
    _OpenProcessToken = _advapi32.OpenProcessToken
    _OpenProcessToken.argtypes = [wintypes.HANDLE, wintypes.DWORD, ctypes.POINTER(wintypes.HANDLE)]
    _GetTokenInformation = _advapi32.GetTokenInformation
    _GetTokenInformation.argtypes = [
        wintypes.HANDLE,
        wintypes.INT,
        wintypes.LPVOID,
        wintypes.DWORD,
        ctypes.POINTER(wintypes.DWORD),
    ]

    def create_private_file(path: Path) -> int:
        """Make a new file that nobody else may read, not even for a moment, and return its descriptor."""
        import msvcrt

        with _Descriptor(_FILE) as descriptor:
            handle = _CreateFileW(
                str(path), _GENERIC_WRITE, 0, descriptor.attributes(), _CREATE_NEW, _NORMAL, None
            )
            if handle == _INVALID_HANDLE:
                raise _last_error()
        return msvcrt.open_osfhandle(handle, os.O_WRONLY | os.O_BINARY)

    def others_with_access(path: Path) -> tuple[str, ...]:
        """Name who else has access to *path*."""
        return strangers(_descriptor_of(path), me=_my_identifier())

    def how_to_close(path: Path) -> str:
        """Return the command that leaves *path* to SYSTEM and Administrators."""
        flags = "(OI)(CI)" if path.is_dir() else ""
        return (
            f'icacls "{path}" /setowner *S-1-5-32-544 & '
            f'icacls "{path}" /inheritance:r /grant:r *S-1-5-18:{flags}F *S-1-5-32-544:{flags}F'
        )

    def _create_private_folder(folder: Path) -> bool:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _Descriptor(_FOLDER) as descriptor:
            if _CreateDirectoryW(str(folder), descriptor.attributes()):
                return True
            error = _last_error()
            if error.winerror == _ALREADY_EXISTS:
                return False
            raise error

    def copy_access(source: Path, target: Path) -> None:
        """Give *target* the access list of *source*, and its owner where we may."""
        wanted = _descriptor_of(source)
        if wanted == _descriptor_of(target):
            return
        _set(target, wanted, _LIST | (_PROTECTED_LIST if "D:P" in wanted else _UNPROTECTED_LIST))
        with suppress(OSError):
            _set(target, wanted, _OWNER_ONLY)

    def _close(path: Path) -> None:
        _set(path, _FOLDER if path.is_dir() else _FILE, _OWNER_ONLY | _LIST | _PROTECTED_LIST)

    def _set(path: Path, text: str, what: int) -> None:
        with _Descriptor(text) as descriptor:
            if not _SetFileSecurityW(str(path), what, descriptor.pointer):
                raise _last_error()

    def _who_may_write(folder: Path) -> tuple[str, ...]:
        return others_with_access(folder)

    def _owned_by_strangers(path: Path) -> bool:
        owner = _OWNER.search(_descriptor_of(path))
        return owner is None or owner[1] not in {*_TRUSTED, _my_identifier()}

    class _Descriptor:
        """A security descriptor made from its text form, freed when the block ends."""

        def __init__(self, text: str) -> None:
            self.pointer = wintypes.LPVOID()
            if not _FromText(text, _REVISION, ctypes.byref(self.pointer), None):
                raise _last_error()

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_error: object) -> None:
            _LocalFree(self.pointer)

        def attributes(self) -> _Attributes:
            return _Attributes(ctypes.sizeof(_Attributes), self.pointer, False)

    def _descriptor_of(path: Path) -> str:
        size = wintypes.DWORD()
        _GetFileSecurityW(str(path), _OWNER_ONLY | _LIST, None, 0, ctypes.byref(size))
        descriptor = ctypes.create_string_buffer(size.value)
        if not _GetFileSecurityW(str(path), _OWNER_ONLY | _LIST, descriptor, size, ctypes.byref(size)):
            raise _last_error()
        text = wintypes.LPWSTR()
        if not _ToText(descriptor, _REVISION, _OWNER_ONLY | _LIST, ctypes.byref(text), None):
            raise _last_error()
        return _taken(text)

    def _my_identifier() -> str:
        token = wintypes.HANDLE()
        if not _OpenProcessToken(_GetCurrentProcess(), _TOKEN_QUERY, ctypes.byref(token)):
            raise _last_error()
        try:
            size = wintypes.DWORD()
            _GetTokenInformation(token, _TOKEN_USER, None, 0, ctypes.byref(size))
            user = ctypes.create_string_buffer(size.value)
            if not _GetTokenInformation(token, _TOKEN_USER, user, size, ctypes.byref(size)):
                raise _last_error()
        finally:
            _CloseHandle(token)
        # The answer begins with a pointer to the identifier, which lies in the same buffer.
        text = wintypes.LPWSTR()
        if not _SidToText(ctypes.cast(user, ctypes.POINTER(wintypes.LPVOID))[0], ctypes.byref(text)):
            raise _last_error()
        return _taken(text)

    def _taken(text: wintypes.LPWSTR) -> str:
        value = text.value or ""
        _LocalFree(ctypes.cast(text, wintypes.LPVOID))
        return value

    def _last_error() -> OSError:
        code = ctypes.get_last_error()
        if code == _INVALID_OWNER:
            return PermissionError(0, "run it as Administrator", None, code)
        return ctypes.WinError(code)

else:

    def create_private_file(path: Path) -> int:
        """Make a new file that nobody else may read, not even for a moment, and return its descriptor."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)

    def others_with_access(path: Path) -> tuple[str, ...]:
        """Name who else has access to *path*."""
        found = path.stat()
        others = [f"user {found.st_uid}"] if found.st_uid not in (0, os.geteuid()) else []
        if found.st_mode & 0o077:
            others.append("its group or everyone")
        return tuple(others)

    def how_to_close(path: Path) -> str:
        """Return the command that leaves *path* to its owner."""
        return f"chmod {'700' if path.is_dir() else '600'} '{path}'"

    def _create_private_folder(folder: Path) -> bool:
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            return False
        return True

    def _close(path: Path) -> None:
        path.chmod(0o700 if path.is_dir() else 0o600)

    def _who_may_write(folder: Path) -> tuple[str, ...]:
        return () if folder.stat().st_mode & 0o022 == 0 else ("its group or everyone",)

    def _owned_by_strangers(path: Path) -> bool:
        return path.lstat().st_uid not in (0, os.geteuid())


def ensure_private_folder(folder: Path, *, ours: bool) -> None:
    """
    Make *folder* so that nobody else may put anything into it; raises ServerError.

    `ours` says that the folder belongs to this program alone, so that an open one may be closed, with all
    that is in it. Any other is refused: it may hold what somebody else needs. What strangers have put there
    while it was open is never used.
    """
    try:
        if _create_private_folder(folder):
            return
        others = _who_may_write(folder)
        if others and not ours:
            raise ServerError(
                f"{folder} is open to others ({', '.join(others)}), who could plant what this program "
                f"believes; close it, then try again: {how_to_close(folder)}"
            )
        _refuse_what_strangers_own(folder)
        if others:
            _close(folder)
            _refuse_what_strangers_own(folder)
            for entry in folder.rglob("*"):
                _close(entry)
    except OSError as error:
        raise ServerError(f"{folder} can't be closed to others: {error.strerror}") from error


def _refuse_what_strangers_own(folder: Path) -> None:
    for entry in sorted(folder.iterdir()):
        if _owned_by_strangers(entry):
            raise ServerError(
                f"{entry} belongs to somebody who is not an administrator; look at it, then remove it or "
                f"take it over: {how_to_close(entry)}"
            )
        # Asked only now: a link of a stranger to a folder has been refused.
        if entry.is_dir() and not entry.is_symlink():
            _refuse_what_strangers_own(entry)
