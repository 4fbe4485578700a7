"""
The page's own web server, on 127.0.0.1.

Whoever can reach a port of this machine is not yet welcome: a site in the user's browser can send requests
here, too. So a request must name this server as its host (a name that was made to point to 127.0.0.1 won't
do), and what asks or does something must come from the page itself, with the token that only the page has
been told. The page loads nothing from elsewhere and runs no script but its own.
"""

import json
import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from string import Template
from types import TracebackType
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from sandbox.console_page.backup_server import BackupServerPanel
from sandbox.console_page.dashboards import RefusedError, Viewer

LOGGER = logging.getLogger(__name__)

TOKEN_HEADER = "X-Page-Token"  # noqa: S105 - a header's name
_FOLDER = Path(__file__).parent
_FILES = {
    "/page.js": "text/javascript",
    "/page.css": "text/css",
    "/widget.css": "text/css",
}
_LONGEST_BODY = 256 * 1024
# Widgets may bring styles; with no place to load from, the worst that a style can do is to look bad.
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src-elem 'self' 'nonce-{nonce}'; "
    "style-src-attr 'unsafe-inline'; img-src data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_ALWAYS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOptions:
    """Who may look, in the order in which the page offers them, at the dashboards of which account."""

    viewers: Mapping[str, Viewer]
    account_id: str
    region: str
    backup_server: BackupServerPanel | None


class _Question(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _AboutDashboards(_Question):
    viewer: str


class _AboutDashboard(_Question):
    viewer: str
    name: str


class _AboutAlarms(_Question):
    viewer: str
    arns: list[str]


class _Call(_Question):
    """`params` are those of the widget, or of the button in it; `context` is what CloudWatch adds to them."""

    viewer: str
    function: str
    params: dict[str, Any]
    context: dict[str, Any]


class _AboutBackupServer(_Question):
    do: Literal["look", "run the client"]


class _BadRequestError(Exception):
    """The request isn't one that the page would send."""

    def __init__(self, message: str, *, status: HTTPStatus) -> None:
        self.status = status
        super().__init__(message)


class _QuietHandler(WSGIRequestHandler):
    """One answer for each connection, and no line on the terminal for each."""

    protocol_version = "HTTP/1.0"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        LOGGER.debug("%s %s %s", self.requestline, code, size)


class ConsolePage:
    """Serves the page from entering to leaving; what it shows is asked for when somebody looks."""

    def __init__(self, options: PageOptions) -> None:
        self._options = options
        self._token = secrets.token_urlsafe(24)
        self._server = make_server(
            "127.0.0.1", 0, self._application, threaded=True, request_handler=_QuietHandler
        )
        self._hosts = {f"{name}:{self._server.server_port}" for name in ("127.0.0.1", "localhost")}
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.name = "console-page"
        self._questions: dict[str, Callable[[str], Any]] = {
            "/dashboards": self._dashboards,
            "/dashboard": self._dashboard,
            "/alarms": self._alarms,
            "/call": self._call,
            "/backup-server": self._backup_server,
        }

    @property
    def url(self) -> str:
        """The address for a browser."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def _application(self) -> Callable[..., Any]:
        @Request.application
        def answer(request: Request) -> Response:
            try:
                response = self._answer(request)
            except _BadRequestError as error:
                response = Response(f"{error}\n", status=error.status, mimetype="text/plain")
            for name, value in _ALWAYS.items():
                response.headers[name] = value
            return response

        return answer

    def _answer(self, request: Request) -> Response:
        if request.headers.get("Host") not in self._hosts:
            raise _BadRequestError(
                "This server answers as 127.0.0.1 or localhost only.", status=HTTPStatus.MISDIRECTED_REQUEST
            )
        if request.method == "GET" and request.path == "/":
            return self._page()
        if request.method == "GET" and request.path in _FILES:
            return Response((_FOLDER / request.path[1:]).read_bytes(), mimetype=_FILES[request.path])
        if request.path not in self._questions:
            raise _BadRequestError("There is no such page.", status=HTTPStatus.NOT_FOUND)
        if request.method != "POST":
            raise _BadRequestError("This can only be posted.", status=HTTPStatus.METHOD_NOT_ALLOWED)
        return self._asked(request)

    def _page(self) -> Response:
        nonce = secrets.token_urlsafe(16)
        facts = {
            "token": self._token,
            "viewers": list(self._options.viewers),
            "accountId": self._options.account_id,
            "region": self._options.region,
            "backupServer": self._options.backup_server is not None,
        }
        template = Template((_FOLDER / "page.html").read_text(encoding="utf-8"))
        # In a script element nothing but `<` could end the JSON.
        text = template.substitute(nonce=nonce, facts=json.dumps(facts).replace("<", "\\u003c"))
        headers = {"Content-Security-Policy": _POLICY.format(nonce=nonce)}
        return Response(text, mimetype="text/html", headers=headers)

    def _asked(self, request: Request) -> Response:
        own = {f"http://{request.headers['Host']}"}
        token = request.headers.get(TOKEN_HEADER, "")
        if request.headers.get("Origin") not in own or not secrets.compare_digest(
            token.encode(), self._token.encode()
        ):
            raise _BadRequestError(
                "Only the page itself may ask for this; load it anew.", status=HTTPStatus.FORBIDDEN
            )
        if request.mimetype != "application/json" or (request.content_length or 0) > _LONGEST_BODY:
            raise _BadRequestError("This takes a short JSON document.", status=HTTPStatus.BAD_REQUEST)
        try:
            said = self._questions[request.path](request.get_data(as_text=True))
        except ValidationError as error:
            raise _BadRequestError(str(error), status=HTTPStatus.BAD_REQUEST) from error
        except RefusedError as error:
            said = {"refused": str(error)}
        return Response(json.dumps(said), mimetype="application/json")

    # What the page asks

    def _dashboards(self, body: str) -> dict[str, Any]:
        return {"names": self._viewer(_AboutDashboards.model_validate_json(body).viewer).dashboards()}

    def _dashboard(self, body: str) -> dict[str, Any]:
        about = _AboutDashboard.model_validate_json(body)
        return self._viewer(about.viewer).dashboard(about.name)

    def _alarms(self, body: str) -> dict[str, Any]:
        about = _AboutAlarms.model_validate_json(body)
        return {"alarms": self._viewer(about.viewer).alarms(about.arns)}

    def _call(self, body: str) -> dict[str, Any]:
        call = _Call.model_validate_json(body)
        answer = self._viewer(call.viewer).call(call.function, {**call.params, "widgetContext": call.context})
        return {"kind": answer.kind, "content": answer.content}

    def _backup_server(self, body: str) -> dict[str, Any]:
        panel = self._options.backup_server
        wanted = _AboutBackupServer.model_validate_json(body).do
        if panel is None:
            raise _BadRequestError("No backup server belongs to this page.", status=HTTPStatus.NOT_FOUND)
        if wanted == "run the client":
            if panel.task is None:
                raise _BadRequestError("The client isn't run from here.", status=HTTPStatus.NOT_FOUND)
            panel.task.ask()
        return panel.facts()

    def _viewer(self, name: str) -> Viewer:
        viewer = self._options.viewers.get(name)
        if viewer is None:
            raise _BadRequestError(f"There is no viewer {name!r}.", status=HTTPStatus.NOT_FOUND)
        return viewer
