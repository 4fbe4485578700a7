"""
Region files in every form that somebody may have: each with what must become of it, and nothing else changed.

Veeam publishes neither the encoding nor the layout of AmazonS3Regions.xml, so the edit must survive them all.
"""

from collections.abc import Iterator
from dataclasses import dataclass

REGION = "ap-northeast-1"
ENDPOINT_ID = "vpce-0123456789abcdef0"
HOST = f"bucket.{ENDPOINT_ID}-abcd1234.s3.{REGION}.vpce.amazonaws.com"

# The markers stand for what is replaced and what is deleted; everything around them must survive.
KEPT, DELETED, END = "⟦", "⟨", "⟧"

PLAIN = """<?xml version="1.0" encoding="utf-8"?>
<Regions>
  <Region Id="us-east-1" Name="US East (N. Virginia)" Type="Global">
    <Endpoint Type="S3">s3.amazonaws.com</Endpoint>
    <Endpoint Type="S3">s3.dualstack.us-east-1.amazonaws.com</Endpoint>
  </Region>
  <Region Id="ap-northeast-1" Name="Asia Pacific (Tokyo)" Type="Global">
    <Endpoint Type="EC2">ec2.ap-northeast-1.amazonaws.com</Endpoint>
    <Endpoint Type="S3">⟦s3.dualstack.ap-northeast-1.amazonaws.com⟧</Endpoint>
    <!-- the old name -->
    ⟨<Endpoint Type="S3">s3-ap-northeast-1.amazonaws.com</Endpoint>⟧
    <Endpoint Type="Glacier">glacier.ap-northeast-1.amazonaws.com</Endpoint>
  </Region>
</Regions>
"""

_ONE = '<Endpoint Type="S3">⟦s3.ap-northeast-1.amazonaws.com⟧</Endpoint>'


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionFile:
    """A file before and after, in bytes."""

    name: str
    before: bytes
    after: bytes


def _region(inside: str, *, declaration: str = "", attributes: str = 'Id="ap-northeast-1"') -> str:
    return f"{declaration}<Regions><Region {attributes}>{inside}</Region></Regions>"


def _five() -> str:
    others = "".join(f'\n ⟨<Endpoint Type="S3">s3-{number}.example</Endpoint>⟧' for number in range(4))
    return _region(f"\n {_ONE}{others}\n")


TEMPLATES: dict[str, str] = {
    "plain": PLAIN,
    "crlf": PLAIN.replace("\n", "\r\n"),
    "one line": PLAIN.replace("\n", ""),
    "no declaration": PLAIN.split("\n", 1)[1],
    "one endpoint": _region(_ONE),
    "five endpoints": _five(),
    "endpoints without a gap": _region(
        _ONE + '⟨<Endpoint Type="S3">other</Endpoint>⟧⟨<Endpoint Type="S3"/>⟧'
    ),
    "CR before and LF behind": _region(_ONE + '\r⟨<Endpoint Type="S3">b</Endpoint>⟧\n'),
    "lower-case types": PLAIN.replace('Type="S3"', 'Type="s3"'),
    "mixed-case types": _region(_ONE + "<x/>" + '⟨<Endpoint Type="s3">b</Endpoint>⟧'),
    "single quotes": PLAIN.replace('"', "'").replace("encoding='utf-8'", 'encoding="utf-8"'),
    "upper-case region": _region(_ONE, attributes='Id="AP-NORTHEAST-1"'),
    "attributes in another order": _region(
        '<Endpoint  Use="x>y" Type = "S3"\n\t>⟦s3.example⟧</Endpoint >',
        attributes='Type="Global" Id="ap-northeast-1"',
    ),
    "white space in tags": _region(
        '<Endpoint\r\n Type="S3" >⟦ s3.example\t⟧</Endpoint\n>', attributes='\n Id="ap-northeast-1" '
    ),
    "CDATA": _region(
        '<Endpoint Type="S3">⟦<![CDATA[s3.<example>]]>⟧</Endpoint>'
        '⟨<Endpoint Type="S3"><![CDATA[</Endpoint>]]></Endpoint>⟧'
    ),
    "references in the text": _region(
        '<Endpoint Type="S3">⟦s3.&amp;.&#101;xample&lt;⟧</Endpoint>⟨<Endpoint Type="S3">&gt;</Endpoint>⟧'
    ),
    "a comment in the text": _region('<Endpoint Type="S3">⟦s3<!-- </Endpoint> -->.example⟧</Endpoint>'),
    "an instruction in the text": _region('<Endpoint Type="S3">⟦s3<?x </Endpoint>?>.example⟧</Endpoint>'),
    "empty element": _region('<Endpoint Type="S3">⟦⟧</Endpoint>⟨<Endpoint Type="S3" />⟧'),
    "comment that looks like an endpoint": _region(
        f'<!-- <Endpoint Type="S3">commented</Endpoint> -->{_ONE}<!-- <Region Id="ap-northeast-1"/> -->'
    ),
    "instructions between": _region(
        f'<?a <Endpoint Type="S3">?>{_ONE}<?b?>⟨<Endpoint Type="S3">b</Endpoint>⟧<?c?>'
    ),
    "default namespace": PLAIN.replace("<Regions>", '<Regions xmlns="urn:veeam">'),
    "prefix": _region(_ONE + "⟨" + _ONE.replace("⟦", "").replace("⟧", "") + "⟧")
    .replace("<Region", "<v:Region")
    .replace("</Region", "</v:Region")
    .replace("<Endpoint", "<v:Endpoint")
    .replace("</Endpoint", "</v:Endpoint")
    .replace("<v:Regions>", '<v:Regions xmlns:v="urn:veeam">'),
    "prefixed empty element with non-ASCII prefix": (
        '<é:Regions xmlns:é="urn:x"><é:Region Id="ap-northeast-1">'
        '⟦<é:Endpoint Type="S3"/>⟧</é:Region></é:Regions>'
    ),
    "nested deeply": f'<a><b><Region Id="ap-northeast-1"><Endpoints>{_ONE}</Endpoints></Region></b></a>',
    "another region inside": _region(
        f'{_ONE}<Region Id="ap-northeast-3"><Endpoint Type="S3">kept</Endpoint></Region>'
        '⟨<Endpoint Type="S3">b</Endpoint>⟧'
    ),
    "region as the root": f'<Region Id="ap-northeast-1">{_ONE}</Region>\n<!-- after -->\n',
    "a longer region id beside it": _region(_ONE).replace(
        "<Regions>", '<Regions><Region Id="ap-northeast-11"><Endpoint Type="S3">kept</Endpoint></Region>'
    ),
    "tabs and trailing space": PLAIN.replace("    ", "\t").replace("\n", " \n"),
    "text beyond ASCII": PLAIN.replace("(Tokyo)", "(Tōkyō) 東京 😀"),
    "Latin text": PLAIN.replace("(Tokyo)", "(Zürich)"),
}

_EMPTY_FIRST = _region('⟦<Endpoint Type="S3"/>⟧')
_EMPTY_FIRST_SPACE = _region(
    '⟦<Endpoint\tType=\'s3\' />⟧<Endpoint Type="SQS"/>⟨<Endpoint Type="S3">b</Endpoint>⟧'
)
_FILLED_EMPTY = {
    "empty tag": (_EMPTY_FIRST, f'<Endpoint Type="S3">{HOST}</Endpoint>'),
    "empty tag with a space": (_EMPTY_FIRST_SPACE, f"<Endpoint\tType='s3' >{HOST}</Endpoint>"),
    "prefixed empty element with non-ASCII prefix": (
        TEMPLATES.pop("prefixed empty element with non-ASCII prefix"),
        f'<é:Endpoint Type="S3">{HOST}</é:Endpoint>',
    ),
}


def _before(template: str) -> str:
    return template.translate({ord(KEPT): None, ord(DELETED): None, ord(END): None})


def _after(template: str, replacement: str) -> str:
    out, rest = "", template
    while rest:
        at = min((rest.find(mark) for mark in (KEPT, DELETED) if mark in rest), default=-1)
        if at < 0:
            return out + rest
        out += rest[:at] + (replacement if rest[at] == KEPT else "")
        rest = rest[at:].split(END, 1)[1]
    return out


def _encodings(text: str) -> Iterator[tuple[str, str, bytes, str]]:
    """Yield name, codec, byte order mark and the text with a declaration that fits."""
    yield "UTF-8", "utf-8", b"", text
    yield "UTF-8 with BOM", "utf-8", b"\xef\xbb\xbf", text
    for name, codec, bom in (
        ("UTF-16 LE", "utf-16-le", b"\xff\xfe"),
        ("UTF-16 BE", "utf-16-be", b"\xfe\xff"),
    ):
        yield name, codec, bom, text.replace('encoding="utf-8"', 'encoding="utf-16"')
    for codec in ("windows-1252", "ISO-8859-1", "windows-1251", "us-ascii"):
        if text.startswith("<?xml"):
            yield codec, codec, b"", text.replace('encoding="utf-8"', f'encoding="{codec}"')


def _files() -> Iterator[RegionFile]:
    cases = [(name, template, HOST) for name, template in TEMPLATES.items()]
    cases += [(name, template, filled) for name, (template, filled) in _FILLED_EMPTY.items()]
    for name, template, replacement in cases:
        for encoding, codec, bom, text in _encodings(template):
            before, after = _before(text), _after(text, replacement)
            try:
                yield RegionFile(
                    name=f"{name}, {encoding}",
                    before=bom + before.encode(codec),
                    after=bom + after.encode(codec),
                )
            except UnicodeEncodeError:
                continue


FILES = list(_files())
DEFAULT = next(file for file in FILES if file.name == "crlf, UTF-8 with BOM")

_DTD = '<!DOCTYPE Regions [<!ENTITY h "s3.example">]>'
REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "not well-formed"),
    "not XML": (b"{}", "not well-formed"),
    "cut off": (DEFAULT.before[:-20], "not well-formed"),
    "an unbound prefix": (b'<v:Region Id="ap-northeast-1"/>', "not well-formed"),
    "an entity": (_region('<Endpoint Type="S3">&h;</Endpoint>', declaration=_DTD).encode(), "DTD"),
    "a DTD": (b'<!DOCTYPE Regions SYSTEM "file:///etc/passwd"><Regions/>', "DTD"),
    "an undeclared entity": (_region('<Endpoint Type="S3">&h;</Endpoint>').encode(), "not well-formed"),
    "no region": (
        b'<Regions><Region Id="us-east-1"><Endpoint Type="S3">x</Endpoint></Region></Regions>',
        "no region",
    ),
    "the region twice": (
        _region("").replace("<Region ", '<Region Id="AP-northeast-1"/><Region ').encode(),
        "2 times",
    ),
    "no S3 endpoint": (_region('<Endpoint Type="S3Control">x</Endpoint>').encode(), "no S3 endpoint"),
    "elements in the endpoint": (
        _region('<Endpoint Type="S3"><Host>x</Host></Endpoint>').encode(),
        "other elements",
    ),
    "an unknown encoding": (b'<?xml version="1.0" encoding="klingon"?><Regions/>', "encoding"),
    "a multi-byte encoding": (b'<?xml version="1.0" encoding="shift_jis"?><Regions/>', "encoding"),
    "UTF-32": (b"\xff\xfe\0\0" + "<Regions/>".encode("utf-32-le"), "not well-formed"),
    "too large": (b"<Regions>" + b" " * (16 * 1024 * 1024) + b"</Regions>", "at most"),
}
