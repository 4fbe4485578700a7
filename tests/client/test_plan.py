"""Changes are made in their order, and taken back in the other one, whatever one of them raises."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from onprem_client.errors import ApplyError, BusyError, ClientError, JournalError, RollbackError, ServerError
from onprem_client.plan import Change, apply, roll_back


@dataclass
class Told:
    """What was called, in its order, and what raises."""

    calls: list[str] = field(default_factory=list)
    raises: dict[str, BaseException] = field(default_factory=dict)

    def call(self, name: str) -> Callable[[], None]:
        def called() -> None:
            self.calls.append(name)
            if name in self.raises:
                raise self.raises[name]

        return called

    def changes(self, *names: str) -> list[Change]:
        return [
            Change(
                resource=name,
                before=None,
                after="there",
                do=self.call(f"do {name}"),
                undo=self.call(f"undo {name}"),
                prepare=self.call(f"prepare {name}"),
            )
            for name in names
        ]

    def apply(self, *names: str) -> None:
        apply(self.changes(*names), on_failure=self.call("failed"))


def test_everything_is_prepared_before_anything_is_done() -> None:
    """What can be tried without a change must not fail behind one."""
    told = Told()
    told.apply("a", "b")

    assert told.calls == ["prepare a", "prepare b", "do a", "do b"]


def test_no_change_is_no_work() -> None:
    """A converged run."""
    told = Told()
    told.apply()

    assert told.calls == []


def test_a_change_that_needs_no_preparation_has_none() -> None:
    """Most don't."""
    told = Told()
    change = Change(resource="a", before="x", after=None, do=told.call("do"), undo=told.call("undo"))
    apply([change], on_failure=told.call("failed"))

    assert told.calls == ["do"]


def test_a_change_that_fails_is_undone_with_those_before_it() -> None:
    """It may have been done half; the journal learns of it first, and those behind it were never begun."""
    told = Told(raises={"do b": ServerError("no space")})

    with pytest.raises(ApplyError) as raised:
        told.apply("a", "b", "c")

    assert told.calls[3:] == ["do a", "do b", "failed", "undo b", "undo a"]
    assert str(raised.value) == (
        "a change failed and everything before it was undone; b: absent -> there: no space"
    )
    assert raised.value.__cause__ is told.raises["do b"]


def test_a_preparation_that_fails_leaves_nothing_to_undo() -> None:
    """Nothing was begun, and the message names what could not be prepared."""
    told = Told(raises={"prepare b": OSError("not ready")})

    with pytest.raises(ApplyError, match=r"b: absent -> there: OSError: not ready$"):
        told.apply("a", "b")

    assert told.calls == ["prepare a", "prepare b", "failed"]


@pytest.mark.parametrize("says_it_itself", [BusyError("three sessions run")])
def test_what_an_operator_must_know_better_is_said_as_it_is(says_it_itself: ClientError) -> None:
    """Its exit code and its sentence are more than "a change failed"."""
    told = Told(raises={"do a": says_it_itself})

    with pytest.raises(type(says_it_itself)) as raised:
        told.apply("a")

    assert raised.value is says_it_itself
    assert told.calls[-1] == "undo a"


def test_an_interruption_undoes_as_well() -> None:
    """Ctrl+C between two changes must not leave the first one."""
    told = Told(raises={"do b": KeyboardInterrupt()})

    with pytest.raises(ApplyError, match=r"interrupted from the keyboard$"):
        told.apply("a", "b")

    assert told.calls[-2:] == ["undo b", "undo a"]


def test_a_journal_that_cannot_be_written_does_not_keep_the_server_from_going_back() -> None:
    """A full disk is why the change failed, too."""
    told = Told(raises={"do a": ServerError("full"), "failed": JournalError("full")})

    with pytest.raises(ApplyError):
        told.apply("a")

    assert told.calls[-2:] == ["failed", "undo a"]


def test_any_other_error_of_the_journal_is_a_bug_and_is_seen() -> None:
    """Only what the client reports by itself is expected there."""
    told = Told(raises={"do a": ServerError("full"), "failed": ZeroDivisionError()})

    with pytest.raises(ZeroDivisionError):
        told.apply("a")


def test_what_cannot_be_undone_does_not_stop_the_others() -> None:
    """Every change that can be taken back is; a person is told of the rest, the first one as the cause."""
    told = Told(
        raises={
            "undo c": ServerError("c is open"),
            "undo b": KeyboardInterrupt(),
            "undo a": ValueError("odd"),
        }
    )

    with pytest.raises(RollbackError) as raised:
        roll_back(told.changes("a", "b", "c", "d"), why="it was stopped")

    assert told.calls == ["undo d", "undo c", "undo b", "undo a"]
    assert str(raised.value) == (
        "it was stopped; it could not be undone: "
        "c: c is open; b: interrupted from the keyboard; a: ValueError: odd"
    )
    assert raised.value.__cause__ is told.raises["undo c"]


def test_a_failure_that_cannot_be_undone_says_both() -> None:
    """Why it failed, and what is left."""
    told = Told(raises={"do a": ServerError("locked"), "undo a": ServerError("locked still")})

    with pytest.raises(
        RollbackError, match=r"^a: absent -> there: locked; it could not be undone: a: locked still$"
    ):
        told.apply("a")


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [("1", "2", "value: 1 -> 2"), (None, "2", "value: absent -> 2"), ("1", None, "value: 1 -> absent")],
)
def test_a_change_is_a_line_that_a_person_reads(before: str | None, after: str | None, text: str) -> None:
    """It is all that an operator decides by."""
    told = Told()
    change = Change(resource="value", before=before, after=after, do=told.call(""), undo=told.call(""))

    assert str(change) == text
