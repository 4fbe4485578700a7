"""What the command and the stacks both say, because neither may import the other."""

from pathlib import Path

from site_cli.doctor import POWERTOOLS_LAYER
from site_cli.execution import STATES
from stacks.constructs import site
from tests.stacks.synthesized import Synthesized


def test_every_state_that_calls_a_function_has_words(assembly: Path) -> None:
    """A state without them would be shown as one of a newer version."""
    assert set(STATES) == set(Synthesized(assembly).tasks)


def test_doctor_looks_for_the_layer_that_the_stack_needs() -> None:
    """A version of its own would be looked for in vain, or found in vain."""
    assert POWERTOOLS_LAYER == site.POWERTOOLS_LAYER
