"""What the client writes down is read back as it was, by itself and by its next version; nothing else is."""

import json
from pathlib import Path
from typing import Any

import pytest

from contract import names
from onprem_client.errors import JournalError
from onprem_client.journal import (
    Adopted,
    Aside,
    Direction,
    Held,
    Journal,
    Memory,
    Pending,
    RegistryOriginal,
)
from onprem_client.resources.region_xml import OriginalEndpoints
from onprem_client.resources.service_restart import SERVICE, ServiceImage
from onprem_client.windows.protocols import RegistryValue
from tests.client.server import FakeFiles

FOLDER = Path("state")
FILE = FOLDER / "journal.json"
TOKYO, OSAKA = names.SiteName("tokyo"), names.SiteName("osaka")
REGION = names.Region("ap-northeast-1")
ENDPOINT = names.EndpointId("vpce-0123456789abcdef0")
MEMORY = Memory(
    registry=RegistryOriginal(value=RegistryValue("REG_DWORD", 0)),
    adopted={
        REGION: Adopted(
            site=TOKYO,
            host="bucket.vpce-0123456789abcdef0-a1b2c3d4.s3.ap-northeast-1.vpce.amazonaws.com",
            vpc_endpoint_id=ENDPOINT,
            document_version=7,
            original=OriginalEndpoints(
                encoding="utf-8",
                texts=("s3.ap-northeast-1.amazonaws.com", "s3.dualstack.ap-northeast-1.amazonaws.com"),
                elements=(b'<Endpoint Type="S3">\xff</Endpoint>', b"<Endpoint/>"),
                gaps=(b"\r\n\t",),
            ),
        )
    },
    held={
        OSAKA: Held(region=names.Region("ap-northeast-3"), adopted=(ENDPOINT, 3)),
        TOKYO: Held(region=REGION, adopted=None),
    },
    reported={TOKYO: "adopted vpce-0123456789abcdef0"},
    repositories={TOKYO: "backups: right"},
)
PENDING = Pending(
    command="apply",
    direction=Direction.FORWARD,
    registry_before=RegistryValue("REG_DWORD", 0),
    registry_after=None,
    file_before=b"\xef\xbb\xbf<before/>",
    file_after=b"<after/>\r\n",
    service=ServiceImage(service=SERVICE, dependents=("VeeamMountSvc", "VeeamCatalogSvc")),
    service_touched=False,
    memory_after=MEMORY,
    since="2026-01-31T22:00:00Z",
)
ASIDE = Aside(jobs={"6c3e": "Daily"}, since="2026-01-31T22:00:00Z")
# As the first version writes it: what it says is only ever added to.
WRITTEN: dict[str, Any] = {
    "format": 1,
    "memory": {"registry": None, "adopted": {}, "held": {}, "reported": {}},
    "pending": None,
}


def opened(files: FakeFiles) -> Journal:
    return Journal(FOLDER, files=files)


def state(journal: Journal) -> tuple[Memory, Pending | None, Aside | None]:
    return journal.memory, journal.pending, journal.aside


def stored(**changed: Any) -> FakeFiles:
    files = FakeFiles()
    files.contents[FILE] = json.dumps({**WRITTEN, **changed}).encode()
    return files


def test_a_server_that_was_never_touched_has_no_journal() -> None:
    """And asking for it makes none."""
    files = FakeFiles()

    assert state(opened(files)) == (Memory(), None, None)
    assert files.contents == {}


def test_everything_that_is_remembered_is_read_back() -> None:
    """A field that is lost here is a server that can't be put back."""
    files = FakeFiles()
    journal = opened(files)
    journal.commit(MEMORY)
    journal.begin(PENDING)
    journal.put_aside(ASIDE)

    assert state(opened(files)) == state(journal) == (MEMORY, PENDING, ASIDE)
    assert list(files.contents) == [FILE]
    assert files.staged == {}
    assert files.contents[FILE].endswith(b"}\n")


@pytest.mark.parametrize("service_touched", [True, False])
@pytest.mark.parametrize("direction", list(Direction))
def test_how_far_it_came_is_read_back(direction: Direction, *, service_touched: bool) -> None:
    """The next start finishes it, or takes it back, by these two."""
    files = FakeFiles()
    journal = opened(files)
    journal.begin(PENDING)
    if service_touched:
        journal.service_will_stop()
    if direction is Direction.BACK:
        journal.turn_back()
    found = opened(files).pending

    assert found is not None
    assert (found.direction, found.service_touched) == (direction, service_touched)
    assert found.file_before == PENDING.file_before


def test_without_anything_under_way_there_is_nothing_to_turn() -> None:
    """Called after a crash, before the journal is known to be empty."""
    files = FakeFiles()
    journal = opened(files)
    journal.service_will_stop()
    journal.turn_back()

    assert files.contents == {}
    assert journal.pending is None


def test_ending_a_transaction_keeps_what_it_does_not_concern() -> None:
    """Jobs are enabled again after the restart, so they outlive it."""
    files = FakeFiles()
    journal = opened(files)
    journal.put_aside(ASIDE)
    journal.begin(PENDING)
    assert state(opened(files)) == (Memory(), PENDING, ASIDE)
    journal.service_will_stop()
    journal.turn_back()
    assert opened(files).aside == ASIDE
    journal.abandon()
    assert state(opened(files)) == (Memory(), None, ASIDE)
    journal.begin(PENDING)
    journal.commit(MEMORY)
    assert state(opened(files)) == (MEMORY, None, ASIDE)
    journal.begin(PENDING)
    journal.take_back()

    assert state(opened(files)) == (MEMORY, PENDING, None)
    journal.abandon()
    assert state(opened(files)) == (MEMORY, None, None)


def test_jobs_that_are_put_aside_later_join_those_that_are() -> None:
    """The first ones would stay disabled for ever."""
    files = FakeFiles()
    journal = opened(files)
    journal.put_aside(ASIDE)
    journal.put_aside(Aside(jobs={"77aa": "Weekly"}, since="2026-02-01T00:00:00Z"))
    found = opened(files).aside

    assert found == Aside(jobs={"6c3e": "Daily", "77aa": "Weekly"}, since="2026-02-01T00:00:00Z")
    assert found.names == ["Daily", "Weekly"]


def test_the_first_versions_journal_is_still_read() -> None:
    """An upgrade in the middle of a transaction, and one from before jobs and repositories were kept."""
    assert state(opened(stored())) == (Memory(), None, None)


@pytest.mark.parametrize("value", [None, RegistryValue("REG_DWORD", 1), RegistryValue("REG_SZ", "1")])
def test_the_registry_value_keeps_its_type(value: RegistryValue | None) -> None:
    """Absent, a number and a text are three things."""
    files = FakeFiles()
    opened(files).commit(Memory(registry=RegistryOriginal(value=value)))

    assert opened(files).memory.registry == RegistryOriginal(value=value)


def damaged() -> list[Any]:
    """Return journals with one value that the client can't have written, of every kind that it writes."""
    files = FakeFiles()
    journal = opened(files)
    journal.commit(MEMORY)
    journal.begin(PENDING)
    journal.put_aside(ASIDE)
    whole = json.loads(files.contents[FILE])
    spoilt: list[tuple[tuple[str, ...], Any]] = [
        (("format",), 2),
        (("aside", "jobs", "6c3e"), None),
        (("aside", "since"), 5),
        (("memory", "registry", "value", "type"), 4),
        (("memory", "registry", "value", "value"), None),
        (("memory", "adopted", REGION, "site"), "Tokyo"),
        (("memory", "adopted", REGION, "host"), None),
        (("memory", "adopted", REGION, "vpc_endpoint_id"), "vpce-1"),
        (("memory", "adopted", REGION, "document_version"), "seven"),
        (("memory", "adopted", REGION, "original", "encoding"), 8),
        (("memory", "adopted", REGION, "original", "texts"), [1]),
        (("memory", "adopted", REGION, "original", "elements"), ["not base64!"]),
        (("memory", "adopted", REGION, "original", "gaps"), [None]),
        (("memory", "adopted", "nowhere"), whole["memory"]["adopted"][REGION]),
        (("memory", "held", "osaka", "region"), "nowhere"),
        (("memory", "held", "osaka", "adopted"), ["vpce-1", 3]),
        (("memory", "held", "Osaka"), whole["memory"]["held"]["osaka"]),
        (("memory", "reported", "tokyo"), 1),
        (("memory", "reported", "Tokyo"), "x"),
        (("memory", "repositories", "tokyo"), 1),
        (("memory", "repositories", "Tokyo"), "x"),
        (("pending", "command"), None),
        (("pending", "direction"), "sideways"),
        (("pending", "registry_before", "value"), None),
        (("pending", "file_before"), 1),
        (("pending", "file_after"), "%"),
        (("pending", "dependents"), [1]),
        (("pending", "memory_after"), None),
        (("pending", "since"), 0),
    ]
    found = []
    for path, value in spoilt:
        copy = json.loads(json.dumps(whole))
        inner = copy
        for name in path[:-1]:
            inner = inner[name]
        inner[path[-1]] = value
        found.append(pytest.param(copy, id=".".join(path)))
    for path in (("format",), ("memory",), ("pending",), ("pending", "file_before"), ("memory", "held")):
        copy = json.loads(json.dumps(whole))
        inner = copy
        for name in path[:-1]:
            inner = inner[name]
        del inner[path[-1]]
        found.append(pytest.param(copy, id=f"without {'.'.join(path)}"))
    return [*found, pytest.param([], id="a list"), pytest.param("text", id="a text")]


@pytest.mark.parametrize("value", damaged())
def test_a_damaged_journal_is_refused_with_what_to_do(value: Any) -> None:
    """Half of what was there would be put back, in place of all or nothing."""
    files = FakeFiles()
    files.contents[FILE] = json.dumps(value).encode()

    with pytest.raises(JournalError) as raised:
        opened(files)

    cause = raised.value.__cause__
    assert str(raised.value) == (
        f"{FILE} can't be read ({type(cause).__name__}); put it back from a backup, or "
        "move it away: then the client knows no more what it has changed here"
    )


def test_what_is_not_json_is_refused() -> None:
    """A file that was cut off by a power failure, on a file system that doesn't replace whole."""
    files = FakeFiles()
    files.contents[FILE] = b'{"format": 1, "mem'

    with pytest.raises(JournalError, match="JSONDecodeError"):
        opened(files)


def test_only_true_says_that_the_service_was_touched() -> None:
    """Anything else would start a service that somebody else had stopped."""
    files = FakeFiles()
    opened(files).begin(PENDING)
    value = json.loads(files.contents[FILE])
    value["pending"]["service_touched"] = "yes"
    files.contents[FILE] = json.dumps(value).encode()
    found = opened(files).pending

    assert found is not None
    assert found.service_touched is False
    assert found.service.service == SERVICE
