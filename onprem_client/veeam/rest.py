"""
Signed-in calls: find the revision, keep a token, try again what is worth trying again.

The revision is found by signing in, from the newest down: no call lists them. A server that answers 503 or
refuses the connection is asked again until the patience is over; a token that is no longer accepted is
replaced once by a fresh sign-in. A refused password ends it at once: trying again would lock the account.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeGuard
from urllib.parse import urlencode

from onprem_client.clock import Clock
from onprem_client.errors import VbrError, VbrMissingError, VbrSignInError
from onprem_client.secret import Secret
from onprem_client.veeam.connection import Connection, NoAnswerError, NotSentError, Reply, Request
from onprem_client.veeam.reading import member, number, text
from onprem_client.veeam.revisions import NEWEST_FIRST, Revision

_TOKEN_PATH = "/api/oauth2/token"  # noqa: S105 - a path, not a token
_PAUSE_SECONDS = 2.0
_PAGE = 200
_MOST_ITEMS = 20_000
# A token is replaced a little before it ends, so that a call never meets its last second.
_MARGIN_SECONDS = 30.0
# VBR's tokens live for a quarter of an hour; whatever is said instead must fit into sums.
_LONGEST_LIFE_SECONDS = 24 * 3600
_UNKNOWN_REVISION = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.NOT_ACCEPTABLE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.NOT_IMPLEMENTED,
}
_NOT_NOW = {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}
_PERHAPS_DONE = {HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    access: Secret
    refresh: Secret | None
    good_until: float


class Rest:
    """The calls of one account on one server."""

    def __init__(
        self,
        connection: Connection,
        *,
        user: str,
        password: Callable[[], Secret],
        clock: Clock,
        patience: float,
    ) -> None:
        self._connection = connection
        self._user = user
        self._password = password
        self._clock = clock
        self._patience = patience
        self._revision: Revision | None = None
        self._token: _Token | None = None

    def revision(self) -> Revision:
        """Return the server's revision; signs in to find it."""
        if self._revision is None:
            self._persist(self._ensure_token, repeatable=True)
        if self._revision is None:
            raise AssertionError("a sign-in sets the revision")
        return self._revision

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        repeatable: bool = True,
    ) -> Any:
        """
        Send one call and return its document.

        `repeatable` says that doing it twice is doing it once; other calls are sent again only when the
        server has certainly not carried them out.
        """
        target = f"{path}?{urlencode(query)}" if query else path
        return self._persist(lambda: self._signed(method, target, body), repeatable=repeatable).document

    def listing(self, path: str, query: Mapping[str, str] | None = None) -> list[Any]:
        """Return all entries of a list, page by page."""
        found: list[Any] = []
        while len(found) < _MOST_ITEMS:
            page = self.call(
                "GET", path, query={**(query or {}), "skip": str(len(found)), "limit": str(_PAGE)}
            )
            data = member(page, "data")
            if not isinstance(data, list):
                raise VbrError(f"VBR answered {path} without a list")
            found += data
            total = number(page, "pagination", "total")
            if not data or (len(found) >= total if total is not None else len(data) < _PAGE):
                return found
        raise VbrError(f"VBR lists more than {_MOST_ITEMS} entries of {path}; they are not read")

    def _persist(self, send: Callable[[], Reply], *, repeatable: bool) -> Reply:
        give_up = self._clock.monotonic() + self._patience
        fresh_token = False
        while True:
            problem: VbrError
            try:
                reply = send()
            except NotSentError as error:
                problem = error
            except NoAnswerError as error:
                if not repeatable:
                    raise
                problem = error
            else:
                status = reply.status
                if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
                    return reply
                if status == HTTPStatus.UNAUTHORIZED and not fresh_token:
                    # The token has come to its end, or a restart of the service forgot it.
                    self._token, fresh_token = None, True
                    continue
                problem = _refusal(reply)
                if status not in _NOT_NOW and not (repeatable and status in _PERHAPS_DONE):
                    raise problem
            if self._clock.monotonic() >= give_up:
                raise VbrError(
                    f"{problem} (tried again for {self._patience:g} s)", status=problem.status
                ) from problem
            self._clock.sleep(_PAUSE_SECONDS)

    def _signed(self, method: str, target: str, body: Mapping[str, Any] | None) -> Reply:
        reply = self._ensure_token()
        if self._token is None or self._revision is None:
            return reply
        headers = {
            "Accept": "application/json",
            "Authorization": f"Bearer {self._token.access.reveal()}",
            "x-api-version": self._revision.name,
        }
        content: bytes | None = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        return self._connection.send(Request(method=method, path=target, headers=headers, body=content))

    def _ensure_token(self) -> Reply:
        """Have a token that is good for a while; the reply is what kept us from it, else an empty 200."""
        if self._token is not None and self._clock.monotonic() >= self._token.good_until:
            self._refreshed(self._token)
        if self._token is not None:
            return Reply(HTTPStatus.OK, None)
        if self._revision is not None:
            reply = self._sign_in(self._revision)
            if reply.status not in _UNKNOWN_REVISION:
                return reply
        self._revision = None
        for revision in NEWEST_FIRST:
            reply = self._sign_in(revision)
            if reply.status not in _UNKNOWN_REVISION:
                return reply
        raise VbrError(
            f"VBR speaks none of the REST revisions {NEWEST_FIRST[-1].name} to {NEWEST_FIRST[0].name}, "
            "or what answers at vbr.url is not VBR"
        )

    def _sign_in(self, revision: Revision) -> Reply:
        reply = self._ask_token(
            revision,
            {
                "grant_type": revision.password_grant,
                "username": self._user,
                "password": self._password().reveal(),
            },
        )
        if reply.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise VbrSignInError(
                f"VBR refused the sign-in of {self._user}; store the right password with "
                "`secret set vbr-password`",
                status=reply.status,
            )
        if reply.status == HTTPStatus.OK:
            self._keep(revision, reply)
        return reply

    def _refreshed(self, token: _Token) -> None:
        """Use the refresh token, which works once; whatever comes back instead ends in a fresh sign-in."""
        self._token = None
        if token.refresh is None or self._revision is None:
            return
        reply = self._ask_token(
            self._revision,
            {"grant_type": self._revision.refresh_grant, "refresh_token": token.refresh.reveal()},
        )
        if reply.status == HTTPStatus.OK:
            self._keep(self._revision, reply)

    def _ask_token(self, revision: Revision, form: Mapping[str, str]) -> Reply:
        return self._connection.send(
            Request(
                method="POST",
                path=_TOKEN_PATH,
                headers={
                    "Accept": "application/json",
                    "Content-Type": "application/x-www-form-urlencoded",
                    "x-api-version": revision.name,
                },
                body=urlencode(form).encode(),
            )
        )

    def _keep(self, revision: Revision, reply: Reply) -> None:
        access = member(reply.document, "access_token")
        refresh = member(reply.document, "refresh_token")
        if not _is_token(access):
            raise VbrError("VBR accepted the sign-in but answered without a token")
        lifetime = min(max(number(reply.document, "expires_in") or 0, 0), _LONGEST_LIFE_SECONDS)
        self._revision = revision
        self._token = _Token(
            access=Secret(access),
            refresh=Secret(refresh) if _is_token(refresh) else None,
            good_until=self._clock.monotonic() + max(lifetime - _MARGIN_SECONDS, lifetime / 2),
        )


def _is_token(value: object) -> TypeGuard[str]:
    """Say whether it can go into a header and a form."""
    return isinstance(value, str) and value != "" and value.isascii() and value.isprintable()


def _refusal(reply: Reply) -> VbrError:
    """Name the status and VBR's own words; what was sent is not repeated."""
    said = text(reply.document, "message") or text(reply.document, "errorCode") or "no reason given"
    kind = VbrMissingError if reply.status == HTTPStatus.NOT_FOUND else VbrError
    return kind(f"VBR answered {reply.status}: {said}", status=reply.status)
