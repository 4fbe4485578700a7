"""
Secrets in files that only this machine's administrators may read.

On Windows each is encrypted for this machine (DPAPI), because the scheduled task runs under an account that
has no credential store of its own; the file's access list is what keeps other users of the machine out.
Elsewhere an environment variable is asked first, VBR_PRIVATELINK_SECRET_ and the name, for those who keep
their secrets elsewhere. A file that others may read is refused: by then they may have read it.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

from onprem_client.errors import SecretError, ServerError
from onprem_client.secret import Secret, secret_name
from onprem_client.windows.permissions import (
    create_private_file,
    ensure_private_folder,
    how_to_close,
    others_with_access,
)

_FOLDER = "secrets"
_VARIABLE = "VBR_PRIVATELINK_SECRET_"

if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _NO_WINDOW = 0x1
    _LOCAL_MACHINE = 0x4

    class _Blob(ctypes.Structure):
        _fields_ = (("size", wintypes.DWORD), ("data", wintypes.LPVOID))

    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _crypt32 = ctypes.WinDLL("crypt32", use_last_error=True)
    _LocalFree = _kernel32.LocalFree
    _LocalFree.argtypes = [wintypes.LPVOID]
    _CryptProtectData = _crypt32.CryptProtectData
    _CryptProtectData.argtypes = [
        ctypes.POINTER(_Blob),
        wintypes.LPCWSTR,
        ctypes.POINTER(_Blob),
        wintypes.LPVOID,
        wintypes.LPVOID,
        wintypes.DWORD,
        ctypes.POINTER(_Blob),
    ]
    _CryptUnprotectData = _crypt32.CryptUnprotectData
    _CryptUnprotectData.argtypes = [
        ctypes.POINTER(_Blob),
        wintypes.LPVOID,
        ctypes.POINTER(_Blob),
        wintypes.LPVOID,
        wintypes.LPVOID,
        wintypes.DWORD,
        ctypes.POINTER(_Blob),
    ]

    def _sealed(name: str, content: bytes) -> bytes:
        """Encrypt for this machine; the name goes in too, so that one file can't stand for another."""
        source, entropy, result = _blob(content), _blob(_entropy(name)), _Blob()
        flags = _NO_WINDOW | _LOCAL_MACHINE
        if not _CryptProtectData(source, None, entropy, None, None, flags, result):
            raise ctypes.WinError(ctypes.get_last_error())
        return _taken(result)

    def _opened(name: str, content: bytes) -> bytes:
        source, entropy, result = _blob(content), _blob(_entropy(name)), _Blob()
        flags = _NO_WINDOW | _LOCAL_MACHINE
        if not _CryptUnprotectData(source, None, entropy, None, None, flags, result):
            raise SecretError(
                f"secret {name} can't be decrypted: its file comes from another machine, or is damaged; "
                f"call `secret set {name}`"
            )
        return _taken(result)

    def _entropy(name: str) -> bytes:
        return f"vbr-privatelink secret {name}".encode()

    def _blob(content: bytes) -> _Blob:
        buffer = ctypes.create_string_buffer(content, len(content))
        blob = _Blob(len(content), ctypes.cast(buffer, wintypes.LPVOID))
        blob.kept = buffer  # The pointer must not outlive what it points to.
        return blob

    def _taken(blob: _Blob) -> bytes:
        content = ctypes.string_at(blob.data, blob.size)
        _LocalFree(blob.data)
        return content

    def _from_environment(_name: str) -> Secret | None:
        """A scheduled task has no environment of its own on Windows."""
        return None

else:

    def _sealed(_name: str, content: bytes) -> bytes:
        return content

    def _opened(_name: str, content: bytes) -> bytes:
        return content

    def _from_environment(name: str) -> Secret | None:
        value = os.environ.get(_VARIABLE + name.upper().replace("-", "_"))
        return Secret(value) if value else None


class SecretFiles:
    """The secrets of one state folder."""

    def __init__(self, state_folder: Path, *, ours: bool) -> None:
        self._state_folder = state_folder
        self._ours = ours

    def read(self, name: str) -> Secret | None:
        """Return a secret, or None when it was never put in; raises SecretError for one that leaks."""
        given = _from_environment(secret_name(name))
        if given is not None:
            return given
        path = self._path(name)
        try:
            others = others_with_access(path)
            if others:
                raise SecretError(
                    f"{path} may be read by others ({', '.join(others)}): change the secret where it comes "
                    f"from, call `secret set {name}`, or if you know that nobody read it: "
                    f"{how_to_close(path)}"
                )
            return Secret(_opened(name, path.read_bytes()).decode())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SecretError(f"secret {name} can't be read: {error.strerror}") from error
        except UnicodeDecodeError:
            # Without `from`: the error would carry the secret.
            raise SecretError(f"{path} is damaged; call `secret set {name}`") from None

    def write(self, name: str, value: Secret) -> None:
        """Store a secret in place of the old one, at once."""
        path = self._path(name)
        staged = path.with_name(f"{path.name}.new")
        try:
            ensure_private_folder(self._state_folder, ours=self._ours)
            ensure_private_folder(path.parent, ours=True)
            staged.unlink(missing_ok=True)
            with os.fdopen(create_private_file(staged), "wb") as file:
                file.write(_sealed(name, value.reveal().encode()))
                file.flush()
                os.fsync(file.fileno())
            # Not the adapter of `files`, which keeps the access list of what it replaces.
            staged.replace(path)
        except ServerError as error:
            raise SecretError(f"secret {name} was not stored: {error}") from error
        except OSError as error:
            with suppress(OSError):
                staged.unlink(missing_ok=True)
            raise SecretError(f"secret {name} was not stored: {error.strerror}") from error

    def delete(self, name: str) -> None:
        """Remove a secret; an absent one is fine."""
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            raise SecretError(f"secret {name} can't be removed: {error.strerror}") from error

    def _path(self, name: str) -> Path:
        return self._state_folder / _FOLDER / secret_name(name)
