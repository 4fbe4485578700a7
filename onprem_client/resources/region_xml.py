"""
Edit the S3 endpoints of one region in the bytes of AmazonS3Regions.xml.

Pure functions. Expat says at which byte each tag begins and ends (also for UTF-16 and single-byte encodings:
its offsets count the bytes that were fed in), so nothing but the bytes of the region's S3 endpoint elements
is ever touched. White space around a deleted element stays: it belongs to the file, not to the element.
Veeam documents neither the root element nor a namespace, so elements are found by local name. Every result
is parsed again and compared with the original, event by event, before it is returned.
"""

import codecs
import re
from dataclasses import dataclass
from itertools import groupby, pairwise
from xml.parsers import expat

from onprem_client.errors import NotOursError, RegionFileError

MAXIMUM_BYTES = 16 * 1024 * 1024

_SEPARATOR = " "  # Stands between a namespace and a local name; neither can hold one.
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_WHITE_SPACE = " \t\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One S3 endpoint element: its text, and the bytes where its tags begin and end."""

    text: str
    start: int
    content_start: int
    content_end: int
    end: int
    first_event: int
    last_event: int

    @property
    def is_empty_tag(self) -> bool:
        """Say whether it is written as one tag, <Endpoint Type="S3"/>."""
        return self.content_end == self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalEndpoints:
    """The S3 endpoint elements of a region as they were, and the bytes between them."""

    encoding: str
    texts: tuple[str, ...]
    elements: tuple[bytes, ...]
    gaps: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Event:
    kind: str
    detail: tuple[str, ...]
    start: int


@dataclass(slots=True)
class _Open:
    """An element that has not ended yet."""

    in_region: bool
    endpoint: bool
    event: int
    holds_elements: bool = False


def region_endpoints(xml: bytes, *, region: str) -> tuple[str, ...]:
    """Return the host in each S3 endpoint of *region*, in the file's order."""
    return tuple(element.text for element in _endpoints(_events(xml), region=region, size=len(xml)))


def original_endpoints(xml: bytes, *, region: str) -> OriginalEndpoints:
    """Cut out the region's S3 endpoint elements, so that `with_original_endpoints` can put them back."""
    found = _endpoints(_events(xml), region=region, size=len(xml))
    return OriginalEndpoints(
        encoding=_encoding(xml),
        texts=tuple(element.text for element in found),
        elements=tuple(xml[element.start : element.end] for element in found),
        gaps=tuple(xml[one.end : other.start] for one, other in pairwise(found)),
    )


def with_region_endpoint(xml: bytes, *, region: str, host: str) -> bytes:
    """
    Return *xml* with *host* as the only S3 endpoint of *region*.

    The first S3 endpoint's text becomes the host, the other S3 endpoint elements of the region are deleted.
    Doing it twice is doing it once.
    """
    if not _HOST.fullmatch(host):
        raise RegionFileError(f"{host!a} is not a host name in ASCII")
    events = _events(xml)
    found = _endpoints(events, region=region, size=len(xml))
    first, *others = found
    edited = xml
    for element in reversed(others):
        edited = edited[: element.start] + edited[element.end :]
    if first.text != host:
        edited = edited[: first.start] + _filled(xml, first, host) + edited[first.end :]
    _verify(xml, events, found, edited, region=region, texts=(host,))
    return edited


def with_original_endpoints(xml: bytes, *, region: str, host: str, original: OriginalEndpoints) -> bytes:
    """
    Return *xml* with the region's original S3 endpoints instead of our *host*; all else stays as it is today.

    When nothing but our own edit happened to the region since, this is the exact reverse of
    `with_region_endpoint`. Raises NotOursError when the region holds something else than our host.
    """
    events = _events(xml)
    found = _endpoints(events, region=region, size=len(xml))
    texts = tuple(element.text for element in found)
    if texts != (host,):
        raise NotOursError(
            f"the S3 endpoints of {region} were changed by somebody else ({', '.join(map(_shown, texts))}); "
            "they are left as they are"
        )
    ours = found[0]
    target = _encoding(xml)
    elements, gaps = original.elements, original.gaps
    if target != original.encoding:
        elements = tuple(_recoded(part, original.encoding, target) for part in elements)
        gaps = tuple(_recoded(part, original.encoding, target) for part in gaps)
    between = b"".join(gaps)
    if xml[ours.end : ours.end + len(between)] == between:
        restored = b"".join(part for pair in zip(elements, (*gaps, b""), strict=True) for part in pair)
        edited = xml[: ours.start] + restored + xml[ours.end + len(between) :]
    else:
        # Somebody edited what stood between the endpoints: theirs stays, ours go back in a row.
        edited = xml[: ours.start] + b"".join(elements) + xml[ours.end :]
    _verify(xml, events, found, edited, region=region, texts=original.texts)
    return edited


def _events(xml: bytes) -> list[_Event]:
    """Parse *xml* into events with the byte at which each begins; every byte belongs to one event."""
    if len(xml) > MAXIMUM_BYTES:
        raise RegionFileError(f"the region file is {len(xml)} bytes long; at most {MAXIMUM_BYTES} are read")
    events: list[_Event] = []
    parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
    parser.ordered_attributes = True

    def note(kind: str, *detail: str) -> None:
        events.append(_Event(kind, detail, parser.CurrentByteIndex))

    def start(name: str, attributes: list[str]) -> None:
        note("start", name, *attributes)

    def refuse(*_arguments: object) -> None:
        raise RegionFileError("the region file declares a document type (DTD); that is never read")

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: note("end", name)
    parser.CharacterDataHandler = lambda text: note("text", text)
    parser.CommentHandler = lambda text: note("comment", text)
    parser.ProcessingInstructionHandler = lambda target, text: note("instruction", target, text)
    parser.StartCdataSectionHandler = lambda: note("cdata-start")
    parser.EndCdataSectionHandler = lambda: note("cdata-end")
    parser.DefaultHandler = lambda text: note("other", text)
    try:
        parser.Parse(xml, True)
    except expat.ExpatError as error:
        raise RegionFileError(f"the region file is not well-formed XML: {error}") from error
    except (LookupError, ValueError) as error:  # An encoding that Python doesn't know, or a multi-byte one.
        raise RegionFileError(f"the region file's encoding can't be read: {error}") from error
    return events


def _endpoints(events: list[_Event], *, region: str, size: int) -> list[Element]:
    """Find the S3 endpoints of *region*; there is exactly one such region and at least one such endpoint."""
    stack: list[_Open] = []
    regions = 0
    found: list[Element] = []
    for index, event in enumerate(events):
        if event.kind == "start":
            name = event.detail[0].rpartition(_SEPARATOR)[2]
            attributes = dict(zip(event.detail[1::2], event.detail[2::2], strict=True))
            in_region = bool(stack) and stack[-1].in_region
            if name == "Region":
                in_region = attributes.get("Id", "").lower() == region.lower()
                regions += in_region
            if stack:
                stack[-1].holds_elements = True
            endpoint = name == "Endpoint" and in_region and attributes.get("Type", "").lower() == "s3"
            stack.append(_Open(in_region=in_region, endpoint=endpoint, event=index))
        elif event.kind == "end":
            closed = stack.pop()
            if closed.endpoint:
                if closed.holds_elements:
                    raise RegionFileError(
                        f"an S3 endpoint of {region} holds other elements; that form is not known here"
                    )
                found.append(_element(events, first=closed.event, last=index, size=size))
    if regions == 0:
        raise RegionFileError(f"the region file has no region {region}")
    if regions > 1:
        raise RegionFileError(
            f"the region file has region {region} {regions} times; which one counts is not clear"
        )
    if not found:
        raise RegionFileError(f"region {region} has no S3 endpoint in the region file")
    return found


def _element(events: list[_Event], *, first: int, last: int, size: int) -> Element:
    inside = events[first + 1 : last]
    return Element(
        text="".join(event.detail[0] for event in inside if event.kind == "text"),
        start=events[first].start,
        content_start=events[first + 1].start,
        # Expat puts the end of <Endpoint/> behind the tag, and that of </Endpoint> before it.
        content_end=events[last].start,
        end=events[last + 1].start if last + 1 < len(events) else size,
        first_event=first,
        last_event=last,
    )


def _filled(xml: bytes, element: Element, host: str) -> bytes:
    """Return the element's bytes with *host* as its content."""
    encoding = _markup_encoding(xml)
    opening = xml[element.start : element.content_start]
    closing = xml[element.content_end : element.end]
    if element.is_empty_tag:
        slash, end = "/".encode(encoding), ">".encode(encoding)
        closing = "</".encode(encoding) + _tag_name(opening, encoding) + end
        opening = opening[: -len(slash + end)] + end
    return opening + host.encode(encoding) + closing


def _tag_name(opening: bytes, encoding: str) -> bytes:
    """Return the name in a start tag as it is written, prefix included."""
    unit = len("<".encode(encoding))
    ends = {character.encode(encoding) for character in f"{_WHITE_SPACE}/>"}
    for at in range(unit, len(opening), unit):
        if opening[at : at + unit] in ends:
            return opening[unit:at]
    raise AssertionError("expat found a start tag that has no end")


def _markup_encoding(xml: bytes) -> str:
    """
    Name the encoding for ASCII texts: apart from UTF-16, expat reads only encodings that contain ASCII.

    The names carry the byte order, because a byte order mark must not be written in the middle of a file.
    """
    if xml.startswith((codecs.BOM_UTF16_LE, b"<\0")):
        return "utf-16-le"
    if xml.startswith((codecs.BOM_UTF16_BE, b"\0<")):
        return "utf-16-be"
    return "ascii"


def _encoding(xml: bytes) -> str:
    """Name the encoding of the whole file, for moving elements into a file with another one."""
    markup = _markup_encoding(xml)
    if markup != "ascii":
        return markup
    declared: list[str] = []
    parser = expat.ParserCreate()
    parser.XmlDeclHandler = lambda _version, encoding, _standalone: declared.append(encoding or "utf-8")
    parser.Parse(xml, True)
    return codecs.lookup(declared[0]).name if declared else "utf-8"


def _recoded(part: bytes, source: str, target: str) -> bytes:
    try:
        return part.decode(source).encode(target)
    except UnicodeError as error:
        raise RegionFileError(
            f"the original endpoints can't be written in {target}, which the region file has now: {error}"
        ) from error


def _verify(
    xml: bytes,
    events: list[_Event],
    found: list[Element],
    edited: bytes,
    *,
    region: str,
    texts: tuple[str, ...],
) -> None:
    """Parse the result again: the region holds exactly *texts*, and everything else is as it was."""
    events_now = _events(edited)
    found_now = _endpoints(events_now, region=region, size=len(edited))
    others, others_now = _others(xml, events, found), _others(edited, events_now, found_now)
    if tuple(element.text for element in found_now) != texts or others != others_now:
        raise RegionFileError(
            f"the edit of {region} would change more than the region's S3 endpoints; "
            "the form of this region file is not known here"
        )


def _others(xml: bytes, events: list[_Event], found: list[Element]) -> list[tuple[object, ...]]:
    """
    Return what stands outside *found*, with neighbouring texts put together.

    Texts are compared as bytes: to a parser, the CR before a deleted element and the LF behind it become one
    line end.
    """
    inside = {index for element in found for index in range(element.first_event, element.last_event + 1)}
    ends = [*(event.start for event in events[1:]), len(xml)]
    outside = [(event, ends[index]) for index, event in enumerate(events) if index not in inside]
    others: list[tuple[object, ...]] = []
    for kind, group in groupby(outside, key=lambda pair: pair[0].kind):
        if kind == "text":
            others.append((kind, b"".join(xml[event.start : end] for event, end in group)))
        else:
            others.extend((kind, *event.detail) for event, _end in group)
    return others


def _shown(text: str) -> str:
    return ascii(text)[1:-1][:100]
