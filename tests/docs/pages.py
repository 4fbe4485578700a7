"""The pages that people read, and the commands in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.conftest import ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One line of a console block, without its prompt."""

    page: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}: {self.text[:60]}"


@cache
def pages() -> tuple[Path, ...]:
    """Every page of the repository that people read."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert len(found) > 10
    return tuple(sorted(found))


def commands() -> Iterator[Command]:
    """Every command of every console block."""
    for page in pages():
        for block in re.findall(r"(?ms)^\s*```console\n(.*?)^\s*```", page.read_text(encoding="utf-8")):
            for line in block.splitlines():
                if line.strip().startswith("$ "):
                    yield Command(page=page.relative_to(ROOT).as_posix(), text=line.strip()[2:])


def anchors(page: Path) -> set[str]:
    """The names under which a page's headings can be linked to, as GitHub makes them."""
    text = re.sub(r"(?ms)^\s*```.*?^\s*```", "", page.read_text(encoding="utf-8"))
    headings = re.findall(r"(?m)^#+ (.*)$", text)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
