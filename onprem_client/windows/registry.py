"""The registry of this Windows machine, always in the 64-bit view."""

import sys
from typing import NoReturn

from onprem_client.errors import ServerError
from onprem_client.windows.protocols import RegistryValue

if sys.platform == "win32":
    import winreg

    _HIVE = "HKEY_LOCAL_MACHINE\\"
    _TYPES = {
        winreg.REG_SZ: "REG_SZ",
        winreg.REG_EXPAND_SZ: "REG_EXPAND_SZ",
        winreg.REG_DWORD: "REG_DWORD",
        winreg.REG_QWORD: "REG_QWORD",
    }
    _NUMBERS = {name: number for number, name in _TYPES.items()}

    class WindowsRegistry:
        """HKEY_LOCAL_MACHINE."""

        def has_key(self, key: str) -> bool:
            """Say whether there is such a key."""
            try:
                self._open(key, winreg.KEY_QUERY_VALUE).Close()
            except FileNotFoundError:
                return False
            except OSError as error:
                self._refuse(key, "read", error)
            return True

        def read(self, key: str, name: str) -> RegistryValue | None:
            """Return a value with its type, or None when there is none."""
            try:
                with self._open(key, winreg.KEY_QUERY_VALUE) as opened:
                    value, number = winreg.QueryValueEx(opened, name)
            except FileNotFoundError:
                return None
            except OSError as error:
                self._refuse(f"{key}\\{name}", "read", error)
            if number not in _TYPES or not isinstance(value, str | int):
                raise ServerError(
                    f"{key}\\{name} has a type that is not known here ({number}); correct it by hand"
                )
            return RegistryValue(_TYPES[number], value)

        def write(self, key: str, name: str, value: RegistryValue) -> None:
            """Set a value of an existing key."""
            try:
                with self._open(key, winreg.KEY_SET_VALUE) as opened:
                    winreg.SetValueEx(opened, name, 0, _NUMBERS[value.type], value.value)
            except OSError as error:
                self._refuse(f"{key}\\{name}", "set", error)

        def delete(self, key: str, name: str) -> None:
            """Remove a value; an absent one is fine."""
            try:
                with self._open(key, winreg.KEY_SET_VALUE) as opened:
                    winreg.DeleteValue(opened, name)
            except FileNotFoundError:
                return
            except OSError as error:
                self._refuse(f"{key}\\{name}", "deleted", error)

        def _open(self, key: str, access: int) -> winreg.HKEYType:
            path = key.removeprefix(_HIVE)
            return winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path, 0, access | winreg.KEY_WOW64_64KEY)

        def _refuse(self, what: str, verb: str, error: OSError) -> NoReturn:
            raise ServerError(f"registry {what} can't be {verb}: {error.strerror}") from error
