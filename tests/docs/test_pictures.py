"""The pictures that are drawn from the template show what is in it, and nothing else."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from generate import pictures
from tests.stacks.synthesized import Synthesized

_SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(name="template")
def _template(assembly: Path) -> dict[str, Any]:
    template: dict[str, Any] = json.loads(Synthesized(assembly).template_file.read_text())
    return template


def texts(picture: str) -> list[str]:
    """Every text of a picture, which has to be a document that browsers read."""
    return [str(text.text) for text in ET.fromstring(picture).iter(f"{_SVG}text")]  # noqa: S314


def test_the_workflow_shows_every_state_and_where_its_failure_leads(
    assembly: Path, template: dict[str, Any]
) -> None:
    """A state that is missing would be one that nobody reviews."""
    synthesized = Synthesized(assembly)
    shown = texts(pictures.files(template)[pictures.IMAGES / "state-machine.svg"])
    caught = [state for state in synthesized.states.values() if state.get("Catch")]

    assert set(synthesized.states) <= set(shown)
    assert len([text for text in shown if "on failure: " in text]) == len(caught) > 10


def test_every_way_through_the_workflow_is_an_arrow_or_words(template: dict[str, Any]) -> None:
    """Two states and a choice: the far way is said, the near one drawn."""
    definition = {
        "StartAt": "A",
        "States": {
            "A": {"Type": "Choice", "Choices": [{"Next": "B"}], "Default": "D"},
            "B": {"Type": "Task", "Next": "C", "Catch": [{"Next": "D"}]},
            "C": {"Type": "Task", "Next": "D"},
            "D": {"Type": "Succeed"},
        },
    }
    picture = pictures.state_machine(definition)

    assert texts(picture) == ["A", "or: D", "B", "on failure: D", "C", "D"]
    assert picture.count("marker-end") == 3
    assert template


def test_the_stack_shows_which_functions_the_workflow_calls(template: dict[str, Any]) -> None:
    """A function of the console stands beside the workflow, not behind it."""
    called = pictures._called(template)
    reach = pictures._reach(template)
    shown = texts(pictures.files(template)[pictures.IMAGES / "site-stack.svg"])

    assert {"acquire_lease", "prove_lockdown", "release_lease"} <= called < set(reach)
    assert set(reach) <= set(shown)
    assert reach["prove_lockdown"] == {"s3"}
