"""
Region files that somebody has damaged, on purpose or not: what another reader understands is edited, and
nothing but the region's S3 endpoints changes; everything else is refused in one sentence.
"""

from collections import Counter
from collections.abc import Callable

from hypothesis import example, given
from hypothesis import strategies as st

from onprem_client.errors import RegionFileError
from onprem_client.resources.region_xml import (
    original_endpoints,
    with_original_endpoints,
    with_region_endpoint,
)
from tests.client.region_files import DEFAULT, FILES, HOST, REGION
from tests.proofs.mutations import damaged_bytes
from tests.proofs.region_reader import seen
from tests.proofs.test_hostile_documents import assert_one_sentence, few_and_many, hostile

Record = Callable[[str, object], None]

LAUGHS = b'<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = b'<!DOCTYPE x [<!ENTITY file SYSTEM "file:///etc/passwd">]>'
PIECES = (
    LAUGHS, OUTSIDE, b" ", b"\n", b"text", b"<!DOCTYPE x>", b"<!ENTITY a 'b'>", b"&b;", b"&amp;", b"&#0;",
    b"&#x1F600;", b"&", b"<", b">",
    b"<![CDATA[", b"]]>", b"<![CDATA[x]]>", b"<!--", b"-->", b"<!-- x -->", b"<?x y?>",
    b"<?xml version='1.1'?>",
    b'<Region Id="ap-northeast-1">', b'<Region Id="AP-NORTHEAST-1"/>', b"</Region>", b'<Endpoint Type="S3">',
    b'<Endpoint Type="S3"/>', b"</Endpoint>", b"<x:Region xmlns:x='u' Id='ap-northeast-1'/>", b" xmlns='u'",
    b' Id="ap-northeast-1"', b' Type="S3"', b"\r\n", b"\r", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf",
    b"\xc3\xa9", b"\xe9",
    b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b'encoding="utf-16"', b'encoding="iso-8859-1"', b"<a>" * 300,
    b"x" * 5000,
)  # fmt: skip


@few_and_many
def test_a_damaged_file_is_edited_when_and_only_when_another_reader_understands_it(
    examples: int, record_property: Record
) -> None:
    """The file belongs to Veeam: an edit that breaks it, or another region, breaks the backup server."""
    counts = Counter[str]()
    different = set[bytes]()

    @hostile(examples)
    @given(content=st.sampled_from(FILES).flatmap(lambda file: damaged_bytes(file.before, PIECES)))
    @example(content=LAUGHS + DEFAULT.before)
    @example(content=OUTSIDE + b"<Regions/>")
    @example(content=b"")
    def each(content: bytes) -> None:
        different.add(content)
        before = seen(content, region=REGION)
        try:
            edited = with_region_endpoint(content, region=REGION, host=HOST)
        except RegionFileError as error:
            refusal = str(error)
        else:
            refusal = ""
        if refusal:
            assert_one_sentence(refusal)

            assert before is None, f"refused: {refusal}: {content!r}"
            counts["refused"] += 1
            return
        after = seen(edited, region=REGION)

        assert before is not None, f"edited: {content!r}"
        assert after is not None
        assert after.hosts == (HOST,)
        assert after.others == before.others
        assert with_region_endpoint(edited, region=REGION, host=HOST) == edited
        original = original_endpoints(content, region=REGION)
        assert original.texts == before.hosts
        if before.hosts != (HOST,):
            undone = with_original_endpoints(edited, region=REGION, host=HOST, original=original)
            assert undone == content
        counts["edited"] += 1

    each()

    assert counts["edited"] > examples / 20
    assert counts["refused"] > examples / 5
    record_property(
        "figures", f"region files: {len(different)} damaged ones, {dict(counts)}, nothing else raised"
    )


def test_the_files_that_are_damaged_are_good() -> None:
    """Both readers take every one of them as it is."""
    assert len(FILES) > 10
    for file in FILES:
        before = seen(file.before, region=REGION)

        assert before is not None, file.name
        assert with_region_endpoint(file.before, region=REGION, host=HOST) == file.after
        assert seen(file.after, region=REGION) is not None
