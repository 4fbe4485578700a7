"""
The REST API: what every call passes before its own code runs.

In this order: the backup service must run, the revision must be right, the path must exist, the token
must be valid, the query and the body must have the revision's shape.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

from sandbox.vbr.access_tokens import AccessTokens, TokenPair, TokenState
from sandbox.vbr.backup_server import BackupServer
from sandbox.vbr.request_log import RequestLog, masked
from sandbox.vbr.rest_calls import (
    Answer,
    BadRequestError,
    Call,
    MethodNotAllowedError,
    NotFoundError,
    RestError,
    Route,
    UnauthorizedError,
    UnavailableError,
)
from sandbox.vbr.rest_infrastructure import InfrastructureCalls
from sandbox.vbr.rest_work import WorkCalls
from sandbox.vbr.revisions import Revision
from sandbox.vbr.shapes import Json, ShapeError

_TOKEN_PATH = "/api/oauth2/token"  # noqa: S105 - a path, not a token
_VERSION_HEADER = "x-api-version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request as it came in; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class RestApi:
    """Answers requests of the revisions that the server accepts, and logs each."""

    def __init__(
        self,
        server: BackupServer,
        revisions: Mapping[str, Revision],
        tokens: AccessTokens,
        log: RequestLog,
        *,
        available: Callable[[], bool],
    ) -> None:
        self._server = server
        self._revisions = revisions
        self._tokens = tokens
        self._log = log
        self._available = available
        self._infrastructure = {
            name: InfrastructureCalls(server, revision, log) for name, revision in revisions.items()
        }
        self._routes = {
            name: [*self._infrastructure[name].routes(), *WorkCalls(server, revision).routes()]
            for name, revision in revisions.items()
        }

    def forget(self) -> None:
        """Forget what doesn't outlive the backup service."""
        for each in self._infrastructure.values():
            each.forget()

    def handle(self, request: Request) -> Answer:
        """Answer one request; whatever goes wrong becomes an answer, too."""
        try:
            answer = self._answer(request)
        except RestError as error:
            answer = Answer(error.status, {"errorCode": error.code, "message": str(error)})
        except ShapeError as error:
            answer = Answer(400, {"errorCode": BadRequestError.code, "message": str(error)})
        except Exception as error:  # noqa: BLE001 - the boundary: a fault of the stand-in is an answer
            answer = Answer(500, {"errorCode": RestError.code, "message": f"stand-in fault: {error!r}"})
        self._log.write(
            method=request.method,
            path=_masked_target(request.target),
            headers=dict(request.headers),
            body=_readable(request),
            status=answer.status,
            response=answer.document,
        )
        return answer

    def _answer(self, request: Request) -> Answer:
        if not self._available() or self._server.faults().rest_unavailable:
            raise UnavailableError("the backup service isn't available")
        revision = self._revisions.get(request.headers.get(_VERSION_HEADER, ""))
        if revision is None:
            raise BadRequestError(f"the header {_VERSION_HEADER} is missing or names an unknown revision")
        split = urlsplit(request.target)
        if split.path == _TOKEN_PATH:
            return self._token(request, revision)
        route, ids = self._route(revision, request.method, split.path)
        self._authorize(request.headers.get("authorization", ""))
        query = dict(parse_qsl(split.query, keep_blank_values=True))
        unknown = sorted(set(query) - route.query)
        if unknown:
            raise BadRequestError(f"{unknown[0]} is not a query parameter of this call in {revision.name}")
        return route.handle(Call(ids=ids, query=query, body=_body(request, route)))

    def _route(self, revision: Revision, method: str, path: str) -> tuple[Route, dict[str, str]]:
        found = [
            (route, match.groupdict())
            for route in self._routes[revision.name]
            if (match := route.pattern.fullmatch(path)) is not None
        ]
        if not found:
            raise NotFoundError(f"{revision.name} has no {path}")
        for route, ids in found:
            if route.method == method:
                return route, ids
        raise MethodNotAllowedError(f"{path} doesn't take {method}")

    def _authorize(self, header: str) -> None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnauthorizedError("a bearer token is required")
        match self._tokens.state(token.strip()):
            case TokenState.VALID:
                return
            case TokenState.EXPIRED:
                raise UnauthorizedError("the access token has expired", code="ExpiredToken")
            case TokenState.UNKNOWN:
                raise UnauthorizedError("the access token is unknown", code="InvalidToken")

    def _token(self, request: Request, revision: Revision) -> Answer:
        if request.method != "POST":
            raise MethodNotAllowedError(f"{_TOKEN_PATH} takes POST only")
        if "application/x-www-form-urlencoded" not in request.headers.get("content-type", ""):
            raise BadRequestError("the token request must be form-encoded")
        form = dict(parse_qsl(request.body.decode("utf-8", errors="replace")))
        grant = form.get("grant_type")
        if grant == revision.password_grant:
            pair = self._tokens.log_in(form.get("username", ""), form.get("password", ""))
        elif grant == revision.refresh_grant:
            pair = self._tokens.refresh(form.get("refresh_token", ""))
        else:
            known = f"{revision.password_grant} or {revision.refresh_grant}"
            raise BadRequestError(f"grant_type must be {known} in {revision.name}")
        if pair is None:
            raise UnauthorizedError("the user name, password or refresh token is wrong")
        self._log.hide(pair.access, pair.refresh)
        return Answer(200, _token_document(pair))


def _token_document(pair: TokenPair) -> Json:
    now = datetime.now(UTC)
    return {
        "access_token": pair.access,
        "token_type": "bearer",
        "refresh_token": pair.refresh,
        "expires_in": round(pair.lifetime),
        ".issued": now.isoformat(),
        ".expires": (now + timedelta(seconds=pair.lifetime)).isoformat(),
    }


def _body(request: Request, route: Route) -> Json:
    if route.shape is None:
        if request.body.strip() not in (b"", b"{}"):
            raise BadRequestError("this call takes no body")
        return {}
    if "application/json" not in request.headers.get("content-type", ""):
        raise BadRequestError("the body must be sent as application/json")
    try:
        document = json.loads(request.body)
    except ValueError as error:
        raise BadRequestError("the body is not valid JSON") from error
    if not isinstance(document, dict):
        raise BadRequestError("the body must be an object")
    route.shape(document).check(document)
    return document


def _readable(request: Request) -> object:
    """Return the body for the log; one that can't be read can't be masked, so it isn't kept."""
    if not request.body:
        return None
    if "form" in request.headers.get("content-type", ""):
        return dict(parse_qsl(request.body.decode("utf-8", errors="replace"), keep_blank_values=True))
    try:
        return json.loads(request.body)
    except ValueError:
        return "(not JSON)"


def _masked_target(target: str) -> str:
    split = urlsplit(target)
    query = masked(dict(parse_qsl(split.query, keep_blank_values=True)))
    if not split.query or not isinstance(query, dict):
        return split.path
    return f"{split.path}?{urlencode(query, safe='*')}"
