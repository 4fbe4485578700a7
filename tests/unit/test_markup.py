"""
What is shown may come from a hostile server, tag or error: text stays text.

Read with a parser of HTML, as a browser would, and not by comparing strings.
"""

import json
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.core.markup import Markup, element, joined, parameters, stylesheet
from tests.architecture.modules import ROOT, modules

HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "'><svg/onload=alert(1)>",
    "</cwdb-action><cwdb-action action=call>",
    "</style><b>",
    "&lt;b&gt; &amp; &#x3c;i&#x3e;",
    "<!-- ",
)


class Read(HTMLParser):
    """The elements with their attributes, and the text, as a browser sees them."""

    def __init__(self, page: Markup) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(str(page))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_shown_as_text(text: str) -> None:
    """In an element and in an attribute, whatever it looks like."""
    page = Read(element("p", text, element("span", text, title=text)))

    assert page.elements == [("p", {}), ("span", {"title": text})]
    assert page.text == text * 2


@given(text=st.text(), value=st.text())
def test_any_text_is_shown_as_text(text: str, value: str) -> None:
    """Nobody has thought of everything; characters that HTML has no place for are the browser's business."""
    page = Read(joined(element("td", text), element("td", element("strong", "x"), title=value)))

    assert [tag for tag, _ in page.elements] == ["td", "td", "strong"]
    assert page.elements[1][1] == {"title": value}


@given(values=st.dictionaries(st.text(max_size=9), st.text()))
def test_parameters_of_a_button_are_the_same_json_for_every_reader(values: dict[str, str]) -> None:
    """CloudWatch doesn't say whether it reads the element's text or its source."""
    written = parameters(values)

    assert json.loads(str(written)) == json.loads(Read(element("cwdb-action", written)).text) == values
    assert not set("<>&'") & set(str(written))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Markup("<b>"),
        lambda: Markup("<b>", made_here=object()),
        lambda: element("script", "x"),  # type: ignore[arg-type]
        lambda: element("iframe"),  # type: ignore[arg-type]
        lambda: element("p", onclick="x"),
        lambda: element("p", style="x"),
        lambda: element("a", "x", href="javascript:alert(1)"),
        lambda: element("a", "x", href="http://example.com"),
        lambda: element("p", **{'x="y" class_': "x"}),
        lambda: stylesheet("</style><script>"),
    ],
)
def test_what_pages_are_not_made_of_is_refused(make: Any) -> None:
    """A mistake of ours is an error at once, not a hole."""
    with pytest.raises((TypeError, ValueError)):
        make()


def test_markup_is_made_in_one_module() -> None:
    """Whoever could make it out of a string would have to remember to escape."""
    making = [file.name for file in modules("lambdas") if "Markup(" in file.read_text(encoding="utf-8")]

    assert making == ["markup.py"]
    assert (ROOT / "lambdas/core/markup.py").is_file()
