"""
Edit the S3 endpoints of one region in the bytes of AmazonS3Regions.xml.

Pure functions. Expat says at which byte each tag begins and ends (also for UTF-16 and single-byte encodings:
its offsets count the bytes that were fed in), so nothing but the bytes of the region's S3 endpoint elements
is ever touched. White space around a deleted element stays: it belongs to the file, not to the element.
Veeam documents neither the root element nor a namespace, so elements are found by local name. Every result
is parsed again and compared with the original, byte by byte, before it is returned.
"""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.parsers import expat

from onprem_client.errors import NotOursError, RegionFileError

MAXIMUM_BYTES = 16 * 1024 * 1024

_SEPARATOR = " "  # Stands between a namespace and a local name; neither can hold one.
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_WHITE_SPACE = " \t\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One S3 endpoint element: its text, and the bytes where its region and its tags begin and end."""

    text: str
    region_start: int
    start: int
    content_start: int
    content_end: int
    end: int

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
    return tuple(element.text for element in _endpoints(xml, region=region))


def original_endpoints(xml: bytes, *, region: str) -> OriginalEndpoints:
    """Cut out the region's S3 endpoint elements, so that `with_original_endpoints` can put them back."""
    found = _endpoints(xml, region=region)
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
    found = _endpoints(xml, region=region)
    first, *others = found
    edited = xml
    for element in reversed(others):
        edited = edited[: element.start] + edited[element.end :]
    if first.text != host:
        edited = edited[: first.start] + _filled(xml, first, host) + edited[first.end :]
    _verify(xml, found, edited, region=region, texts=(host,))
    return edited


def with_original_endpoints(xml: bytes, *, region: str, host: str, original: OriginalEndpoints) -> bytes:
    """
    Return *xml* with the region's original S3 endpoints instead of our *host*; all else stays as it is today.

    When nothing but our own edit happened to the region since, this is the exact reverse of
    `with_region_endpoint`. Raises NotOursError when the region holds something else than our host.
    """
    found = _endpoints(xml, region=region)
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
    _verify(xml, found, edited, region=region, texts=original.texts)
    return edited


class _RegionEndedError(Exception):
    """Ends a parse that needs to see no more."""


class _RegionReader:
    """
    Parses a whole file, and notes what is in one region with the byte at which each event begins.

    Within the region every byte belongs to one event. Elsewhere only start tags are looked at: a file has
    thousands of elements, and each call back into Python costs more than expat needs to parse it. With
    `again_from` the file differs from one that was read before in its region only, which begins at that byte:
    nothing but the region is looked at.
    """

    def __init__(self, region: str, *, again_from: int | None) -> None:
        self.events: list[_Event] = []
        self.regions = 0
        self._region = region.lower()
        self._again_from = again_from
        self._depth = 0
        self._parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
        self._parser.ordered_attributes = True
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._parser.EntityDeclHandler = self._refuse

    def read(self, xml: bytes) -> None:
        """Read *xml*; raises RegionFileError."""
        try:
            if self._again_from:
                self._parser.Parse(xml[: self._again_from], False)
            self._parser.StartElementHandler = self._look
            self._parser.Parse(xml[self._again_from :], True)
        except _RegionEndedError:
            pass
        except expat.ExpatError as error:
            raise RegionFileError(f"the region file is not well-formed XML: {error}") from error
        # An encoding that Python doesn't know, or a multi-byte one.
        except (LookupError, ValueError) as error:
            raise RegionFileError(f"the region file's encoding can't be read: {error}") from error

    def _refuse(self, *_arguments: object) -> None:
        raise RegionFileError("the region file declares a document type (DTD); that is never read")

    def _look(self, name: str, attributes: list[str]) -> None:
        if not name.endswith("Region") or not self._is_wanted(name, attributes):
            return
        self.regions += 1
        if self.regions == 1:
            self._listen()
            self._note("start", name, *attributes)

    def _is_wanted(self, name: str, attributes: list[str]) -> bool:
        return _local(name) == "Region" and _attribute(attributes, "Id") == self._region

    def _listen(self) -> None:
        parser = self._parser
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = lambda text: self._note("text", text)
        parser.CommentHandler = lambda text: self._note("comment", text)
        parser.ProcessingInstructionHandler = lambda target, text: self._note("instruction", target, text)
        parser.StartCdataSectionHandler = lambda: self._note("cdata-start")
        parser.EndCdataSectionHandler = lambda: self._note("cdata-end")
        parser.DefaultHandler = lambda text: self._note("other", text)

    def _be_deaf(self) -> None:
        parser = self._parser
        parser.StartElementHandler = self._look
        parser.EndElementHandler = parser.CharacterDataHandler = parser.CommentHandler = None
        parser.ProcessingInstructionHandler = parser.DefaultHandler = None
        parser.StartCdataSectionHandler = parser.EndCdataSectionHandler = None

    def _start(self, name: str, attributes: list[str]) -> None:
        self._depth += 1
        self.regions += self._is_wanted(name, attributes)
        self._note("start", name, *attributes)

    def _end(self, name: str) -> None:
        self._note("end", name)
        if self._depth == 0:
            if self._again_from is not None:
                raise _RegionEndedError
            self._be_deaf()
        self._depth -= 1

    def _note(self, kind: str, *detail: str) -> None:
        self.events.append(_Event(kind, detail, self._parser.CurrentByteIndex))


def _local(name: str) -> str:
    return name.rpartition(_SEPARATOR)[2]


def _attribute(attributes: Sequence[str], name: str) -> str:
    """Return an attribute's value in lower case; *attributes* are names and values in turn."""
    pairs = iter(attributes)
    for attribute in pairs:
        value = next(pairs)
        if attribute == name:
            return value.lower()
    return ""


def _events(xml: bytes, *, region: str, again_from: int | None) -> list[_Event]:
    """Parse *xml* into the events of *region*, from its start tag to its end tag; there is exactly one."""
    if len(xml) > MAXIMUM_BYTES:
        raise RegionFileError(f"the region file is {len(xml)} bytes long; at most {MAXIMUM_BYTES} are read")
    reader = _RegionReader(region, again_from=again_from)
    reader.read(xml)
    if reader.regions == 0:
        raise RegionFileError(f"the region file has no region {region}")
    if reader.regions > 1:
        raise RegionFileError(
            f"the region file has region {region} {reader.regions} times; which one counts is not clear"
        )
    return reader.events


def _endpoints(xml: bytes, *, region: str, again_from: int | None = None) -> list[Element]:
    """Find the S3 endpoints of *region*; there is at least one."""
    events = _events(xml, region=region, again_from=again_from)
    stack: list[_Open] = []
    found: list[Element] = []
    for index, event in enumerate(events):
        if event.kind == "start":
            name, attributes = _local(event.detail[0]), event.detail[1:]
            # A region within the region is another one, or `_events` would have found two.
            in_region = not stack or (stack[-1].in_region and name != "Region")
            if stack:
                stack[-1].holds_elements = True
            endpoint = name == "Endpoint" and in_region and _attribute(attributes, "Type") == "s3"
            stack.append(_Open(in_region=in_region, endpoint=endpoint, event=index))
        elif event.kind == "end":
            closed = stack.pop()
            if closed.endpoint:
                if closed.holds_elements:
                    raise RegionFileError(
                        f"an S3 endpoint of {region} holds other elements; that form is not known here"
                    )
                found.append(_element(events, first=closed.event, last=index))
    if not found:
        raise RegionFileError(f"region {region} has no S3 endpoint in the region file")
    return found


def _element(events: list[_Event], *, first: int, last: int) -> Element:
    inside = events[first + 1 : last]
    return Element(
        text="".join(event.detail[0] for event in inside if event.kind == "text"),
        region_start=events[0].start,
        start=events[first].start,
        content_start=events[first + 1].start,
        # Expat puts the end of <Endpoint/> behind the tag, and that of </Endpoint> before it.
        content_end=events[last].start,
        # The region's own end follows, if nothing else does.
        end=events[last + 1].start,
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


def _verify(xml: bytes, found: list[Element], edited: bytes, *, region: str, texts: tuple[str, ...]) -> None:
    """Parse the result again: the region holds exactly *texts*, and every byte outside is as it was."""
    # What stands around the region was read in the original, and is compared below.
    found_now = _endpoints(edited, region=region, again_from=found[0].region_start)
    if tuple(element.text for element in found_now) != texts or _outside(xml, found) != _outside(
        edited, found_now
    ):
        raise RegionFileError(
            f"the edit of {region} would change more than the region's S3 endpoints; "
            "the form of this region file is not known here"
        )


def _outside(xml: bytes, found: list[Element]) -> bytes:
    starts = [*(element.start for element in found), len(xml)]
    ends = [0, *(element.end for element in found)]
    return b"".join(xml[end:start] for end, start in zip(ends, starts, strict=True))


def _shown(text: str) -> str:
    return ascii(text)[1:-1][:100]
