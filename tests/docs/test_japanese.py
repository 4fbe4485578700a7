"""The Japanese README says the same as the English one, as far as that can be compared."""

import re

from tests.conftest import ROOT

ENGLISH = (ROOT / "README.md").read_text(encoding="utf-8")
JAPANESE = (ROOT / "README.ja.md").read_text(encoding="utf-8")


def without_code(text: str) -> str:
    """The text without its blocks of code."""
    return re.sub(r"(?ms)^\s*```.*?^\s*```", "", text)


def test_headings_have_the_same_levels_in_the_same_order() -> None:
    """A section that is only in one language is a section that half of the readers miss."""
    levels = [re.findall(r"(?m)^(#+) ", without_code(text)) for text in (ENGLISH, JAPANESE)]

    assert levels[0] == levels[1]
    assert len(levels[0]) >= 6


def test_commands_and_output_are_the_same() -> None:
    """They are typed and printed in English in either language."""
    blocks = [re.findall(r"(?ms)^```(\w+\n.*?)^```", text) for text in (ENGLISH, JAPANESE)]

    assert blocks[0] == blocks[1]
    assert len(blocks[0]) >= 6


def test_images_and_files_are_the_same() -> None:
    """Each picture has a text for those who can't see it, in their language."""
    found = [re.findall(r"\]\((?!https?:)([^)]+)\)", text) for text in (ENGLISH, JAPANESE)]
    ours = [[link for link in links if not link.startswith("README")] for links in found]

    assert sorted(ours[0]) == sorted(ours[1])
    assert not set(re.findall(r"!\[(.*?)\]", ENGLISH)) & set(re.findall(r"!\[(.*?)\]", JAPANESE))


def test_tables_have_the_same_rows_and_what_is_code_is_the_same() -> None:
    """Names of steps, settings and events are not translated."""
    rows = [
        [set(re.findall(r"`[^`]+`", row)) for row in re.findall(r"(?m)^\|.*\|$", text)]
        for text in (ENGLISH, JAPANESE)
    ]

    assert len(rows[0]) == len(rows[1]) > 20
    for english, japanese in zip(*rows, strict=True):
        # The list of the tests' folders is left out.
        assert japanese <= english, english ^ japanese
        assert english == japanese or "`make test-windows`" in english, english ^ japanese


def test_it_is_written_in_japanese_and_in_one_style() -> None:
    """Sentences end politely (desu, masu), and full-width and half-width are not mixed up."""
    prose = re.sub(r"`[^`]*`|\([^)]*\)", "", without_code(JAPANESE))
    plain = re.findall(r"[^\n。|]*(?:である|だ|する|ない)。", prose)

    assert len(re.findall(r"[ぁ-ん]", prose)) > 1000
    assert plain == []
    assert not re.search(r"[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]", prose)
