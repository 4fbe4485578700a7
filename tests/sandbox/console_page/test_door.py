"""Who may talk to the page's server: the page itself, and nobody that a browser was talked into."""

import json
import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from urllib.parse import urlsplit

import pytest

from sandbox.aws.testing import allow, embedded_aws
from sandbox.console_page import ConsolePage, PageOptions
from sandbox.console_page.dashboards import Viewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server said."""

    status: int
    headers: Message
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The server's address, and what the page was told."""

    url: str

    def ask(self, path: str, question: object | None = None, **headers: str) -> Answer:
        """Get the path, or post the question; header names have `_` for `-`."""
        data = None if question is None else json.dumps(question).encode()
        request = urllib.request.Request(self.url.rstrip("/") + path, data=data)  # noqa: S310 - our own address
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return Answer(status=answer.status, headers=answer.headers, text=answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(status=error.code, headers=error.headers, text=error.read().decode())

    @property
    def token(self) -> str:
        """What the page has been told, and nobody else."""
        found = re.search(r'"token": "([^"]+)"', self.ask("/").text)
        assert found is not None
        return found[1]

    def as_the_page(self, path: str, question: object, **headers: str) -> Answer:
        """Ask as the page would, but for *headers*."""
        own = {
            "Content_Type": "application/json",
            "Origin": self.url.rstrip("/"),
            "X_Page_Token": self.token,
        }
        return self.ask(path, question, **(own | headers))


@pytest.fixture(name="door", scope="module")
def _door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with embedded_aws(tmp_path_factory.mktemp("aws")) as aws:
        keys = aws.create_user("reader", allow("cloudwatch:ListDashboards"))
        options = PageOptions(
            viewers={"reader": Viewer(aws, keys)},
            account_id="111122223333",
            region="ap-northeast-1",
            backup_server=None,
        )
        with ConsolePage(options) as page:
            yield Door(url=page.url)


LIST = {"viewer": "reader"}


def test_the_page_itself_is_answered(door: Door) -> None:
    """Otherwise the refusals below would prove nothing."""
    answer = door.as_the_page("/dashboards", LIST)

    assert (answer.status, json.loads(answer.text)) == (200, {"names": []})


@pytest.mark.parametrize(
    "wrong",
    [
        {"X_Page_Token": "guessed"},
        {"X_Page_Token": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
    ],
)
def test_another_sites_script_gets_nothing(door: Door, wrong: dict[str, str]) -> None:
    """A site in another tab can post to 127.0.0.1, but doesn't know the token and can't choose its origin."""
    answer = door.as_the_page("/dashboards", LIST, **wrong)

    assert answer.status == 403
    assert "names" not in answer.text


def test_a_form_of_another_site_gets_nothing(door: Door) -> None:
    """Forms can be posted anywhere without asking first, but not as JSON."""
    assert door.as_the_page("/dashboards", LIST, Content_Type="text/plain").status == 400


@pytest.mark.parametrize("path", ["/", "/page.js", "/dashboards"])
def test_a_name_that_was_made_to_point_here_is_not_answered(door: Door, path: str) -> None:
    """Otherwise DNS rebinding would make another site the page's own origin, and it could read the token."""
    answer = door.ask(path, Host="evil.example")

    assert answer.status == 421
    assert "token" not in answer.text


def test_nothing_is_done_by_a_get(door: Door) -> None:
    """A link or an image of another site can make a browser get anything."""
    for path in ("/dashboards", "/dashboard", "/alarms", "/call", "/backup-server"):
        assert door.ask(path).status == 405


def test_unknown_questions_are_refused_with_a_sentence(door: Door) -> None:
    """Whoever changes the page finds out where the two don't fit."""
    assert "nobody" in door.as_the_page("/dashboards", {"viewer": "nobody"}).text
    assert door.as_the_page("/dashboards", {"viewer": "reader", "more": 1}).status == 400
    assert door.as_the_page("/backup-server", {"do": "look"}).status == 404
    assert door.ask("/../server.py").status == 404


def test_the_page_loads_nothing_from_elsewhere_and_runs_only_its_own_script(door: Door) -> None:
    """Whatever the cleaning of the widgets overlooks finds no script to run and no place to send to."""
    page = door.ask("/")
    policy = dict(
        each.strip().split(" ", 1) for each in str(page.headers["Content-Security-Policy"]).split(";")
    )
    [nonce] = set(re.findall(r'nonce="([^"]+)"', page.text))

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == f"'nonce-{nonce}'"
    assert policy["connect-src"] == "'self'"
    assert "http" not in page.headers["Content-Security-Policy"]
    assert not re.findall(r'(?:src|href)="(?!/page\.|data:,)', page.text)
    assert f"nonce-{nonce}" not in str(door.ask("/").headers["Content-Security-Policy"])


def test_only_this_machine_can_reach_it(door: Door) -> None:
    """The stand-ins have no passwords worth the name."""
    port = urlsplit(door.url).port
    others = {
        str(info[4][0])
        for info in socket.getaddrinfo(socket.gethostname(), port, family=socket.AF_INET)
        if not str(info[4][0]).startswith("127.")
    }

    for address in others:
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((address, port), timeout=5)
