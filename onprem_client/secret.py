"""
A secret, in a type that will not print.

It can be compared, handed on and revealed, and nothing else: no log, traceback, report or pickle holds it.
"""

import hmac
import re
from typing import NewType, NoReturn, final

from contract import names
from contract.errors import ContractError
from onprem_client.errors import SecretError

SecretName = NewType("SecretName", str)

VBR_PASSWORD = SecretName("vbr-password")
"""The password of the VBR account that the REST API is used with."""

_REPOSITORY = "repository-"
_SHOWN = "Secret(***)"


@final
class Secret:
    """A text that only `reveal` gives out."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself; call it where it is used, and keep no copy."""
        return self._value

    def __repr__(self) -> str:
        return _SHOWN

    def __str__(self) -> str:
        return _SHOWN

    def __format__(self, _specification: str) -> str:
        return _SHOWN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a secret can't be pickled or copied; hand it on as it is")


def repository_secret(site: names.SiteName) -> SecretName:
    """Name the secret key that belongs to the access key of a site's repository."""
    return SecretName(f"{_REPOSITORY}{site}")


def secret_name(text: str) -> SecretName:
    """Check a name that an operator has typed; it becomes part of a file's name."""
    if text == VBR_PASSWORD:
        return VBR_PASSWORD
    if text.startswith(_REPOSITORY):
        try:
            return repository_secret(names.site_name(text.removeprefix(_REPOSITORY)))
        except ContractError as error:
            raise SecretError(f"{names.shown(text)} names no secret: {error.problem}") from error
    raise SecretError(
        f"{names.shown(text)} names no secret; known: {VBR_PASSWORD}, and {_REPOSITORY}<site> for the secret "
        "key of a site's repository"
    )


def typed_secret(text: str) -> Secret:
    """Check what came from a prompt or a pipe: one line, without the line's end and a byte order mark."""
    value = text.removeprefix("\ufeff").removesuffix("\n").removesuffix("\r")
    if not value:
        raise SecretError("the secret is empty; nothing was changed")
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise SecretError("the secret has a line end or a control character in it; nothing was changed")
    return Secret(value)
