"""
AmazonS3Regions.xml as another reader sees it: a tree from the standard library, not the product's events.

It tells whether the file has the one region with its S3 endpoints, and what stands everywhere else.
"""

import contextlib
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from xml.parsers import expat


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The texts of the region's S3 endpoints, and everything else as one text."""

    hosts: tuple[str, ...]
    others: str


def seen(content: bytes, *, region: str) -> Seen | None:
    """Read *content*; None when it isn't a file in which that region's endpoints can be changed."""
    if _has_document_type(content):
        return None
    builder = ET.TreeBuilder(insert_comments=True, insert_pis=True)
    try:
        root = ET.fromstring(content, parser=ET.XMLParser(target=builder))  # noqa: S314 - no DTD gets here
    except (ET.ParseError, ValueError, LookupError):
        return None
    found: list[ET.Element] = []
    regions = 0

    def walk(element: ET.Element, *, inside: bool) -> None:
        nonlocal regions
        # Comments and instructions have a function in the place of a tag.
        name = str(element.tag).rpartition("}")[2]
        if name == "Region":
            inside = element.get("Id", "").lower() == region
            regions += inside
        if name == "Endpoint" and inside and element.get("Type", "").lower() == "s3":
            found.append(element)
        for child in element:
            walk(child, inside=inside)

    walk(root, inside=False)
    if regions != 1 or not found or any(not callable(child.tag) for one in found for child in one):
        return None
    return Seen(
        hosts=tuple("".join(one.itertext()) if not len(one) else _text(one) for one in found),
        # To a parser, a CR before a deleted element and a LF behind it become one line end.
        others=re.sub(r"\n+", "\n", _without(root, {id(one) for one in found})),
    )


def _has_document_type(content: bytes) -> bool:
    """Whether there is a DTD; a file that breaks before it has none."""
    there = False

    def note(*_arguments: object) -> None:
        nonlocal there
        there = True

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = note
    with contextlib.suppress(expat.ExpatError, ValueError, LookupError):
        parser.Parse(content, True)
    return there


def _text(element: ET.Element) -> str:
    """The element's own text, without what comments in it say."""
    return (element.text or "") + "".join(child.tail or "" for child in element)


def _without(element: ET.Element, left_out: set[int]) -> str:
    """Write the tree without some elements; what stands behind them stays."""
    if id(element) in left_out:
        return element.tail or ""
    inside = (element.text or "") + "".join(_without(child, left_out) for child in element)
    return f"({element.tag!s} {sorted(element.items())} {inside}){element.tail or ''}"
