"""
HTML that can't be made without escaping.

A `str` is text: it is escaped wherever it is put. Markup has a type of its own, and only the functions here
make it, out of tags and attributes of a closed set; so whoever forgets about escaping gets text shown as
text, never somebody else's markup. What is shown may come from a hostile backup server, tag or error.
"""

import html
import json
from collections.abc import Mapping
from typing import Final, Literal, get_args

Tag = Literal[
    "a",
    "article",
    "button",
    "caption",
    "cwdb-action",
    "dd",
    "div",
    "dl",
    "dt",
    "h2",
    "h3",
    "li",
    "p",
    "section",
    "span",
    "strong",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "time",
    "tr",
    "ul",
]
_TAGS: Final = frozenset(get_args(Tag))
# No `style` and no `on…`: neither has any business here.
_ATTRIBUTES: Final = frozenset(
    {
        "action",
        "aria_label",
        "aria_labelledby",
        "class_",
        "confirmation",
        "datetime",
        "display",
        "endpoint",
        "href",
        "id",
        "rel",
        "role",
        "scope",
        "tabindex",
        "target",
        "title",
        "type",
    }
)


class Markup:
    """A piece of HTML in which everything is escaped; `str()` gives the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str, *, made_here: object = None) -> None:
        if made_here is not _HERE:
            raise TypeError("markup is made by element, joined, parameters and stylesheet alone")
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Markup({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Markup) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


_HERE: Final = object()

Content = Markup | str


def element(tag: Tag, *content: Content, **attributes: str | None) -> Markup:
    """
    Make an element: text in *content* is escaped, and so are the values of *attributes*.

    An attribute that is None is left out; `class_` stands for `class`, `aria_label` for `aria-label`.
    """
    if tag not in _TAGS:
        raise ValueError(f"{tag!r} is not among the tags that pages are made of")
    given = "".join(
        f' {_name(name)}="{html.escape(_value(name, value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{tag}{given}>{joined(*content)}</{tag}>", made_here=_HERE)


def joined(*content: Content) -> Markup:
    """Put pieces behind each other; text is escaped."""
    return Markup(
        "".join(str(part) if isinstance(part, Markup) else html.escape(part) for part in content),
        made_here=_HERE,
    )


def parameters(values: Mapping[str, str]) -> Markup:
    """
    Write the JSON that a `cwdb-action` hands to its function.

    The characters that mean something to HTML are written as JSON's own escapes, so it is the same JSON
    whether a reader takes the element's text or its source.
    """
    text = json.dumps(dict(values))
    for character in "<>&'":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text, made_here=_HERE)


def stylesheet(css: str) -> Markup:
    """Make a `<style>`; *css* is a constant of ours, and can't end the element."""
    if "<" in css:
        raise ValueError("a style sheet has no use for <")
    return Markup(f"<style>{css}</style>", made_here=_HERE)


def _name(name: str) -> str:
    if name not in _ATTRIBUTES:
        raise ValueError(f"{name!r} is not among the attributes that pages are made of")
    return name.rstrip("_").replace("_", "-")


def _value(name: str, value: str) -> str:
    if name == "href" and not value.startswith("https://"):
        raise ValueError("links lead to https alone")
    return value
