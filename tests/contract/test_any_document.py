"""Whatever stands in a parameter, the answer is a document or a ContractError."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.errors import ContractError
from tests.contract.golden_documents import KINDS, Document, changed, paths

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(["vpce-0123456789abcdef0", "10.0.0.0/8", "fe80::1%x", "active", "tokyo\n", "\ud800"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
GOLDEN = [
    (kind, json.loads(path.read_text())) for beginning, kind in KINDS.items() for path in paths(beginning)
]
many = settings(max_examples=150, deadline=None)
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.__name__)


def places(document: Any, prefix: str = "") -> list[str]:
    """Name every field of a document, inside lists as well, as messages show it."""
    if isinstance(document, dict):
        return [
            place
            for name, value in document.items()
            for place in (f"{prefix}{name}", *places(value, f"{prefix}{name}."))
        ]
    if isinstance(document, list):
        return [
            place
            for index, value in enumerate(document)
            for place in (f"{prefix[:-1]}[{index}]", *places(value, f"{prefix[:-1]}[{index}]."))
        ]
    return []


def accepted(kind: type[Document], text: str) -> Document | None:
    """Read *text*; None when it was refused in the one way that readers expect."""
    try:
        return kind.from_json(text)
    except ContractError as error:
        refusal = error
    assert str(refusal).isascii()
    assert refusal.field
    return None


@pytest.mark.parametrize(("kind", "document"), GOLDEN)
def test_places_are_found(kind: type[Document], document: dict[str, Any]) -> None:
    """A mutation that finds no place to change anything would prove nothing."""
    assert accepted(kind, json.dumps(document))
    assert len(places(document)) > len(document) - 1


@many
@given(data=st.data())
def test_a_mutated_document_is_read_or_refused(data: st.DataObject) -> None:
    """One odd value in a document that is otherwise right: the most likely attack and accident."""
    kind, document = data.draw(st.sampled_from(GOLDEN))
    place = data.draw(st.sampled_from(places(document)))
    text = json.dumps(changed(document, place, data.draw(VALUES)))

    read = accepted(kind, text)

    if read is not None:
        assert kind.from_json(read.to_json()) == read


@each_kind
@many
@given(value=VALUES)
def test_any_json_is_read_or_refused(kind: type[Document], value: object) -> None:
    """No traceback in a log and no unknown error in an execution, whatever the parameter holds."""
    assert accepted(kind, json.dumps(value)) is None


@each_kind
@many
@given(text=st.text(max_size=200))
def test_any_text_is_refused(kind: type[Document], text: str) -> None:
    """The same for what isn't JSON at all."""
    assert accepted(kind, text) is None


@each_kind
@many
@given(cut=st.integers(min_value=0, max_value=600), data=st.data())
def test_a_document_that_was_cut_off_is_refused(kind: type[Document], cut: int, data: st.DataObject) -> None:
    """A half-written document must not be a shorter document."""
    document = data.draw(st.sampled_from([golden for of, golden in GOLDEN if of is kind]))
    text = json.dumps(document)

    assert accepted(kind, text[: min(cut, len(text) - 1)]) is None
