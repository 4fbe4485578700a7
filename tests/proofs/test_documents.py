"""What the documentation says of the policies is what is proven."""

import pytest

from tests.conftest import ROOT
from tests.proofs import documents
from tests.proofs.requests import ROWS


def test_the_documents_are_up_to_date() -> None:
    """Whoever changes the table or VBR's policy runs `make generate`."""
    stale = [
        str(path.relative_to(ROOT))
        for path, text in documents.files().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]

    assert stale == [], "run `make generate`"


def test_every_row_is_in_the_table() -> None:
    """A row that is judged and not shown is a promise that nobody reads."""
    section = documents.SECURITY.read_text(encoding="utf-8").partition(documents.BEGIN)[2]
    shown = [line for line in section.partition(documents.END)[0].splitlines() if line.startswith("|")]

    assert len(shown) == len(ROWS) + 2


def test_what_people_wrote_around_the_table_stays() -> None:
    """The rest of the file is written by hand."""
    around = f"before\n{documents.BEGIN}\nold\n{documents.END}\nafter\n"
    written = documents.with_section(around)

    assert written.startswith(f"before\n{documents.BEGIN}\n")
    assert written.endswith(f"{documents.END}\nafter\n")
    assert "old" not in written
    assert documents.with_section(written) == written
    with pytest.raises(ValueError, match="has lost its markers"):
        documents.with_section("before\n")
