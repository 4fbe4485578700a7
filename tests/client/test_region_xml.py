"""The edit of AmazonS3Regions.xml: the region's S3 endpoints change, and not one other byte."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onprem_client.errors import NotOursError, RegionFileError
from onprem_client.resources import region_xml
from onprem_client.resources.region_xml import (
    original_endpoints,
    region_endpoints,
    with_original_endpoints,
    with_region_endpoint,
)
from tests.client.region_files import FILES, HOST, REFUSED, REGION, RegionFile

OTHER_HOST = HOST.replace("abcd1234", "wxyz9876")

each_file = pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])


def test_there_are_files_of_every_kind() -> None:
    """A table that lost its rows must not look green."""
    assert len(FILES) > 100
    assert any(b"\0" in file.before for file in FILES)


@each_file
def test_only_the_s3_endpoints_of_the_region_change(file: RegionFile) -> None:
    """The file is Veeam's; a byte too many and an upgrade or a support engineer trips over it."""
    edited = with_region_endpoint(file.before, region=REGION, host=HOST)

    assert edited == file.after
    assert region_endpoints(edited, region=REGION) == (HOST,)


@each_file
def test_applying_twice_is_applying_once(file: RegionFile) -> None:
    """The scheduled task comes every ten minutes."""
    once = with_region_endpoint(file.before, region=REGION, host=HOST)

    assert with_region_endpoint(once, region=REGION, host=HOST) == once


@each_file
def test_undo_gives_back_the_same_bytes(file: RegionFile) -> None:
    """What can't be taken back exactly is not tried on a production server; also after a second endpoint."""
    original = original_endpoints(file.before, region=REGION)
    edited = with_region_endpoint(file.before, region=REGION, host=OTHER_HOST)
    edited = with_region_endpoint(edited, region=REGION, host=HOST)

    assert with_original_endpoints(edited, region=REGION, host=HOST, original=original) == file.before


@pytest.mark.parametrize(("xml", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_file_that_is_not_understood_is_refused(xml: bytes, reason: str) -> None:
    """An edit by guess could stop every backup of the region."""
    with pytest.raises(RegionFileError, match=reason):
        with_region_endpoint(xml, region=REGION, host=HOST)


@pytest.mark.parametrize("host", ["", "bücket.example", "a b", "x</Endpoint>", "-a", "\u0421yrillic.example"])
def test_a_host_that_is_none_is_refused(host: str) -> None:
    """A host can't bring markup or look-alike letters into the file."""
    with pytest.raises(RegionFileError, match="not a host name"):
        with_region_endpoint(FILES[0].before, region=REGION, host=host)


def test_undo_keeps_what_others_changed_since() -> None:
    """An upgrade may have added regions; only our region's endpoints go back."""
    before = FILES[0].before
    original = original_endpoints(before, region=REGION)
    edited = with_region_endpoint(before, region=REGION, host=HOST)
    theirs = edited.replace(b"</Regions>", b"<Region Id='new-1'/></Regions>")

    restored = with_original_endpoints(theirs, region=REGION, host=HOST, original=original)

    assert restored == before.replace(b"</Regions>", b"<Region Id='new-1'/></Regions>")


def test_undo_finds_a_place_when_the_gap_has_changed() -> None:
    """Somebody edited the comment that stood between the two endpoints: it stays as they wrote it."""
    before = FILES[0].before
    original = original_endpoints(before, region=REGION)
    edited = with_region_endpoint(before, region=REGION, host=HOST)
    theirs = edited.replace(b"the old name", b"a new remark")

    restored = with_original_endpoints(theirs, region=REGION, host=HOST, original=original)

    assert region_endpoints(restored, region=REGION) == original.texts
    assert b"a new remark" in restored
    assert len(restored) == len(before)


def test_undo_speaks_the_encoding_that_the_file_has_now() -> None:
    """An upgrade may bring the file in another encoding."""
    before = FILES[0].before
    original = original_endpoints(before, region=REGION)
    edited = with_region_endpoint(before, region=REGION, host=HOST)
    theirs = b"\xff\xfe" + edited.decode().replace('"utf-8"', '"utf-16"').encode("utf-16-le")

    restored = with_original_endpoints(theirs, region=REGION, host=HOST, original=original)

    assert restored == b"\xff\xfe" + before.decode().replace('"utf-8"', '"utf-16"').encode("utf-16-le")


def test_undo_leaves_endpoints_that_are_not_ours() -> None:
    """What a person has put there since is theirs."""
    before = FILES[0].before
    original = original_endpoints(before, region=REGION)

    with pytest.raises(NotOursError, match="changed by somebody else"):
        with_original_endpoints(before, region=REGION, host=HOST, original=original)


_text = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cn"), exclude_characters="<>&-?]\ufffe\uffff"), max_size=20
)
_space = st.text(" \t\n\r", max_size=4)
_noise = st.lists(
    st.one_of(
        _space,
        _text.map(lambda text: f"<!--{text}-->"),
        _text.map(lambda text: f"<?pi {text}?>"),
        _text.map(lambda text: f"<Endpoint Type='EC2'>{text}</Endpoint>"),
        _text.map(lambda text: f"<![CDATA[{text}]]>"),
        st.just('<Endpoint Type="SQS"/>'),
        st.just("&#233;&amp;"),
    ),
    max_size=4,
).map("".join)
_endpoint = st.builds(
    lambda text, space, quote: (
        f"<Endpoint{space or ' '}Type={quote}S3{quote}{space}>{text}</Endpoint{space}>"
    ),
    _text,
    _space,
    st.sampled_from("'\""),
)


@settings(max_examples=150, deadline=None)
@given(
    noise=st.lists(_noise, min_size=6, max_size=6),
    endpoints=st.lists(_endpoint, min_size=1, max_size=5),
    encoding=st.sampled_from(
        [("utf-8", b""), ("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")]
    ),
)
def test_whatever_stands_around_the_endpoints_survives(
    noise: list[str], endpoints: list[str], encoding: tuple[str, bytes]
) -> None:
    """Nobody has seen every file that is out there."""
    codec, mark = encoding
    head = f"<r>{noise[0]}<Region Id='{REGION}'>{noise[1]}"
    tail = f"{noise[2]}</Region>{noise[3]}</r>"
    inside = endpoints[0] + "".join(noise[4] + endpoint for endpoint in endpoints[1:])
    before = mark + f"{head}{inside}{tail}".encode(codec)
    opening, closing = endpoints[0].split(">", 1)[0] + ">", endpoints[0][endpoints[0].rindex("</") :]
    expected = f"{head}{opening}{HOST}{closing}{noise[4] * (len(endpoints) - 1)}{tail}"

    edited = with_region_endpoint(before, region=REGION, host=HOST)
    original = original_endpoints(before, region=REGION)

    assert edited == mark + expected.encode(codec)
    assert with_region_endpoint(edited, region=REGION, host=HOST) == edited
    assert with_original_endpoints(edited, region=REGION, host=HOST, original=original) == before


@pytest.mark.parametrize("slip", [b"<!-- more -->", b"<Endpoint Type='S3'>y</Endpoint>", b"</Region>", b" "])
def test_an_edit_that_went_wrong_is_never_returned(monkeypatch: pytest.MonkeyPatch, slip: bytes) -> None:
    """The result is read again by the parser: a slip in the arithmetic must not reach the server."""
    filled = region_xml._filled
    monkeypatch.setattr(region_xml, "_filled", lambda *arguments: slip + filled(*arguments))

    with pytest.raises(RegionFileError):
        with_region_endpoint(FILES[0].before, region=REGION, host=HOST)
