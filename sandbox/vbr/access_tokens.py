"""Bearer tokens: short-lived access tokens, and refresh tokens that work once."""

import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class TokenState(StrEnum):
    """What a presented token is worth."""

    VALID = "valid"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """What a successful login hands out."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    lifetime: float


class AccessTokens:
    """The tokens of the one administrator."""

    def __init__(
        self,
        *,
        user: str,
        password: str,
        lifetime: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._user = user
        self._password = password
        self._lifetime = lifetime
        self._clock = clock
        self._lock = threading.Lock()
        self._issued: dict[str, float] = {}
        self._refresh: set[str] = set()

    def log_in(self, user: str, password: str) -> TokenPair | None:
        right = hmac.compare_digest(password.encode(), self._password.encode())
        return self._issue() if right and user.lower() == self._user.lower() else None

    def refresh(self, token: str) -> TokenPair | None:
        with self._lock:
            if token not in self._refresh:
                return None
            self._refresh.remove(token)
        return self._issue()

    def state(self, token: str) -> TokenState:
        with self._lock:
            issued = self._issued.get(token)
        if issued is None:
            return TokenState.UNKNOWN
        expired = self._clock() - issued >= self._lifetime()
        return TokenState.EXPIRED if expired else TokenState.VALID

    def forget_all(self) -> None:
        with self._lock:
            self._issued.clear()
            self._refresh.clear()

    def _issue(self) -> TokenPair:
        pair = TokenPair(
            access=secrets.token_urlsafe(32), refresh=secrets.token_urlsafe(32), lifetime=self._lifetime()
        )
        with self._lock:
            self._issued[pair.access] = self._clock()
            self._refresh.add(pair.refresh)
        return pair
