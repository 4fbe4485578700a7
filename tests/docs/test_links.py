"""Every link and picture in the documentation leads somewhere."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.pages import anchors, pages


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    """Files are there, and so are the headings that are linked to. Other hosts are not asked."""
    text = re.sub(r"(?ms)^\s*```.*?^\s*```", "", page.read_text(encoding="utf-8"))
    links = re.findall(r"\]\(([^)\s]+)\)", text)

    for link in links:
        if "://" in link:
            assert link.startswith("https://"), link
            continue
        path, _hash, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.resolve().is_relative_to(ROOT), link
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_pages_are_linked_to() -> None:
    """A page that no page leads to is found by nobody."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages())
    lonely = [page.name for page in (ROOT / "docs").glob("*.md") if f"{page.name})" not in text]

    assert [name for name in lonely if name != "index.md"] == []


def test_exit_codes_of_the_client_are_all_in_its_guide() -> None:
    """Whoever writes a script around it looks there first."""
    from onprem_client.errors import exit_codes

    text = (ROOT / "docs" / "backup-administrator.md").read_text(encoding="utf-8")
    listed = {
        int(code)
        for row in re.findall(r"(?m)^\| ([0-9, ]+) \|", text)
        for code in row.replace(" ", "").split(",")
    }

    # 1 is an error that nobody has foreseen.
    assert listed | {1} == {code for code, _meaning in exit_codes()}
