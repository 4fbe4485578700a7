"""
Documents gone wrong, by somebody who knows what they look like.

A mutation takes a document apart (`Pairs` in place of objects, so that a field may stand twice; `Token` for
what JSON has no word for), changes one place, and `written` puts it together again. Some mutations leave the
document as good as it was: what is refused too eagerly is a finding as well.
"""

import copy
import json
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st


class Pairs(list[tuple[str, Any]]):
    """An object, field by field."""


class Token(str):
    """Text that stands in the document as it is."""

    __slots__ = ()


CYRILLIC = {
    "a": "\u0430",
    "e": "\u0435",
    "o": "\u043e",
    "c": "\u0441",
    "p": "\u0440",
    "s": "\u0455",
    "t": "\u0442",
}
ODD_TEXTS = (
    "\n", "\r\n", "\x00", "\x1b[31m", "\x7f", " ", "\t", "\u00a0", "\u200b", "\u202e", "\ufeff", "\ud800",
    "\u0661",
    "\uff0e", ".", "..", "/", "\\", "%", "*", "?", "$", "'", '"', "<", ">", "&", ";", "`", "${x}", "{{x}}",
    "%s",
    "-", "_", ":", "@", "A", "0", "a", "x" * 64, "\U0001f600", "e\u0301",
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 999, 1000, 2**53, 2**53 + 1, -(2**63), 10**30, 1.0, 0.5, -0.0, 1e308,
    "", "0", "1", "true", "null", "active", "withdrawn", "adopted", "reverted", "failed", "released", "full",
    "vpce-0123456789abcdef0", "vpce-01234567", "vpce-0123456", "vpce-0123456789abcdef01",
    "sg-0123456789abcdef0",
    "10.0.0.0/8", "10.0.0.0", "10.0.0.0/255.0.0.0", "10.0.0.0/0.255.255.255", "10.0.0.1/8", "0.0.0.0/0",
    "0.0.0.0/1",
    "10.0.0.0/08", "010.0.0.0/8", "10.0.0.0/32", "10.0.0.0/33", "256.0.0.0/8", "10.0.0/8", "::/0",
    "2001:db8::/32",
    "10.20.1.5", "010.20.1.5", "10.20.1", "1.2.3.4.5", "::1", "::ffff:10.20.1.5", "::ffff:a14:105",
    "fe80::1%eth0",
    "2001:db8::1", "2001:DB8::1", "::10.20.1.5", "0:0:0:0:0:0:0:1", "1::0:0:1",
    "2026-01-31T22:00:00Z", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-31T24:00:00Z",
    "2026-01-31T23:59:60Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
    "2026-1-31T22:00:00Z", "2024-02-29T12:00:00Z", "2026-01-31T22:00:00+00:00",
    "ap-northeast-1", "us-east-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1", "us-iso-east-1",
    "eu-isoe-west-1",
    "us-isolated-1", "mx-central-1", "xn--backups", "backups-s3alias", "sthree-backups", "amzn-s3-demo-x",
    "ab", "abc",
    "b" * 63, "b" * 64, "tokyo", "osaka", "vbr01", "vbr01.example.com", "t" * 32, "t" * 33, "-tokyo",
    "tokyo-",
    "arn:aws:iam::111122223333:role/x", "arn:aws-cn:iam::111122223333:user/a/b",
    "arn:aws:iam::111122223333:root",
    "arn:aws:sts::111122223333:assumed-role/x/y", "arn:aws:iam::*:role/x", "Backup 1", "a_b", "_a", "a ",
    "e" * 500, "e" * 501, [], {}, [[]], [None], {"": None}, ["tokyo"], {"name": "tokyo"},
)  # fmt: skip
TOKENS = (
    "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1E2", "1.0", "-0", "01", "+1", "1.", ".5", "0x10",
    "1_000",
    "9" * 300, "-" + "9" * 300, "1e-400", "undefined", "TRUE", "'a'", '"\\ud800"', '"\\u0000"', '"\\x41"',
    '"a', "",
    "[" * 60 + "]" * 60, '{"a":' * 60 + "1" + "}" * 60, "[" * 300, "/**/1", "1,", '"\t"',
)  # fmt: skip
FIELD_NAMES = (
    "", " ", "__proto__", "__class__", "constructor", "schema_version", "Site", "sit\u0435", "site ",
    "site\n", "name",
    "buckets", "state", "$schema", "\ud800", "x" * 300,
)  # fmt: skip


def taken_apart(value: Any) -> Any:
    """Return a copy of a parsed document in which objects are `Pairs`."""
    if isinstance(value, dict):
        return Pairs((name, taken_apart(item)) for name, item in value.items())
    if isinstance(value, list):
        return [taken_apart(item) for item in value]
    return value


def put_together(value: Any) -> Any:
    """Return it as a parser would; of two fields with one name, the last."""
    if isinstance(value, Pairs):
        return {name: put_together(item) for name, item in value}
    if isinstance(value, list):
        return [put_together(item) for item in value]
    return str(value) if isinstance(value, Token) else value


def written(value: Any, *, ascii_only: bool = True, space: str = "") -> str:
    """Write it as JSON, with *space* between everything."""
    comma, colon = f",{space}", f":{space}"
    match value:
        case Token():
            return str(value)
        case Pairs():
            fields = (
                f"{json.dumps(name, ensure_ascii=ascii_only)}{colon}"
                f"{written(item, ascii_only=ascii_only, space=space)}"
                for name, item in value
            )
            return f"{{{space}{comma.join(fields)}{space}}}"
        case list():
            items = (written(item, ascii_only=ascii_only, space=space) for item in value)
            return f"[{space}{comma.join(items)}{space}]"
        case dict():
            return written(taken_apart(value), ascii_only=ascii_only, space=space)
        case _:
            return json.dumps(value, ensure_ascii=ascii_only)


def _places(value: Any) -> list[tuple[Any, int]]:
    """Every container and index at which something stands."""
    found: list[tuple[Any, int]] = []
    if isinstance(value, list):
        for index, item in enumerate(value):
            found.append((value, index))
            found += _places(item[1] if isinstance(value, Pairs) else item)
    return found


@st.composite
def mutated(draw: st.DrawFn, documents: Sequence[Any]) -> Any:
    """Draw one of *documents* (parsed), taken apart, with one to three places changed; or none."""
    document = taken_apart(draw(st.sampled_from(documents)))
    for _ in range(draw(st.sampled_from((0, 1, 1, 1, 1, 1, 2, 2, 3)))):
        places = _places(document)
        if not places:
            break
        container, index = places[draw(st.integers(0, len(places) - 1))]
        _change(draw, container, index)
    return document


def _change(draw: st.DrawFn, container: Any, index: int) -> None:
    named = isinstance(container, Pairs)
    name, value = container[index] if named else (None, container[index])

    # Copies, because a later mutation of the same document changes them in place.
    def put(new: Any) -> None:
        container[index] = (name, copy.deepcopy(new)) if named else copy.deepcopy(new)

    match draw(st.integers(0, 11)):
        case 0:
            del container[index]
        case 1 if named:
            new = copy.deepcopy(draw(st.sampled_from(ODD_VALUES)))
            container.insert(index, (draw(st.sampled_from(FIELD_NAMES)), new))
        case 2 if named:
            container.append((name, copy.deepcopy(draw(st.sampled_from((value, *ODD_VALUES[:12]))))))
        case 3 if named:
            container[index] = (_odd(draw, str(name)), value)
        case 4 if named:
            container.append(container.pop(index))
        case 1 | 2 | 3 | 4:
            for _ in range(draw(st.integers(1, 12))):
                container.append(copy.deepcopy(value))
        case 5:
            put(Token(draw(st.sampled_from(TOKENS))))
        case 6 | 7:
            put(draw(st.sampled_from(ODD_VALUES)))
        case 8:
            put([value] if draw(st.booleans()) else Pairs([("value", value)]))
        case _:
            put(_close_to(draw, value))


def _close_to(draw: st.DrawFn, value: Any) -> Any:
    """Something that is nearly the same."""
    match value:
        case bool():
            return draw(st.sampled_from((not value, int(value), str(value).lower())))
        case int():
            return draw(
                st.sampled_from(
                    (value + 1, value - 1, -value, float(value), str(value), value * 10**20, bool(value))
                )
            )
        case str():
            return _odd(draw, value)
        case Pairs():
            return draw(st.sampled_from((Pairs(), list(value), put_together(value).get("name"))))
        case list():
            return draw(st.sampled_from(([], value * 7, value[::-1], [*value, None], Pairs(), None)))
        case _:
            return draw(st.sampled_from(ODD_VALUES))


def _odd(draw: st.DrawFn, text: str) -> str:
    """A text with something in it that doesn't belong there."""
    at = draw(st.integers(0, max(len(text), 1)))
    match draw(st.integers(0, 9)):
        case 0:
            return text.upper()
        case 1:
            return text[:at]
        case 2:
            return text[at:]
        case 3:
            return "".join(
                CYRILLIC.get(letter, letter) if place == at else letter for place, letter in enumerate(text)
            )
        case 4:
            return f"{text}{draw(st.sampled_from(ODD_TEXTS))}"
        case 5:
            return f"{draw(st.sampled_from(ODD_TEXTS))}{text}"
        case 6:
            return text[:at] + text[at + 1 :]
        case 7:
            return text * draw(st.integers(2, 20))
        case 8:
            return text[::-1]
        case _:
            return f"{text[:at]}{draw(st.sampled_from(ODD_TEXTS))}{text[at:]}"


@st.composite
def mutated_text(draw: st.DrawFn, documents: Sequence[Any]) -> str:
    """Draw the text of a mutated document; now and then the text itself is damaged, or harmlessly altered."""
    document = draw(mutated(documents))
    text = written(
        document,
        ascii_only=draw(st.sampled_from((True, True, True, False))),
        space=draw(st.sampled_from(("", "", " ", "\r\n", "\t", "\n  "))),
    )
    match draw(st.integers(0, 15)):
        case 0:
            return _damaged(draw, text)
        case 1:
            return draw(st.sampled_from(("\ufeff", " ", "\n", "\x00", "{}", "//x\n"))) + text
        case 2:
            return text + draw(st.sampled_from((" ", "\r\n", "\x00", "{}", ",", "]", "}", " " * 4096)))
        case 3:
            return text + " " * (4096 - len(text) + draw(st.integers(-1, 1)))
        case 4:
            # The same letter, written another way.
            return text.replace('"s', '"\\u0073', 1)
        case _:
            return text


def _damaged(draw: st.DrawFn, text: str) -> str:
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(text) - 1, 0)))
        match draw(st.integers(0, 3)):
            case 0:
                text = text[:at]
            case 1:
                text = text[:at] + chr(draw(st.integers(0, 255))) + text[at + 1 :]
            case 2:
                text = text[:at] + text[at + 1 :]
            case _:
                text = text[:at] + text[at : at + 20] + text[at:]
    return text


@st.composite
def damaged_bytes(draw: st.DrawFn, content: bytes, pieces: Sequence[bytes]) -> bytes:
    """
    Draw *content* with some of its bytes changed, cut, doubled, or with one of *pieces* put in: anywhere, or
    where a tag ends, so that the whole may still mean something.
    """
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3)))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        if draw(st.booleans()):
            at = content.find(b">", at) + 1 or at
        match draw(st.integers(0, 5)):
            case 0:
                content = content[:at]
            case 1:
                content = content[:at] + bytes([draw(st.integers(0, 255))]) + content[at + 1 :]
            case 2:
                content = content[:at] + content[at + draw(st.integers(1, 30)) :]
            case 3:
                content = content[:at] + content[at : at + draw(st.integers(1, 200))] + content[at:]
            case _:
                content = content[:at] + draw(st.sampled_from(pieces)) + content[at:]
    return content
