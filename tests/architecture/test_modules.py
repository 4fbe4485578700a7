"""The reader of imports: an arrow that it doesn't see is an arrow that nobody holds."""

from pathlib import Path

import pytest

from tests.architecture.modules import Import, imports, modules


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("import a.b", [Import(module="a.b", for_types=False)]),
        ("import a, b as c", [Import(module="a", for_types=False), Import(module="b", for_types=False)]),
        ("from a.b import c as d", [Import(module="a.b.c", for_types=False)]),
        ("def f():\n    import a", [Import(module="a", for_types=False)]),
        ("try:\n    import a\nexcept ImportError:\n    pass", [Import(module="a", for_types=False)]),
        ("if sys.platform == 'win32':\n    import a", [Import(module="a", for_types=False)]),
        ("if TYPE_CHECKING:\n    import a", [Import(module="a", for_types=True)]),
        (
            "if TYPE_CHECKING:\n    import a\nelse:\n    import b",
            [Import(module="a", for_types=True), Import(module="b", for_types=False)],
        ),
        ("x = importlib.import_module('a').b", [Import(module="a", for_types=False)]),
        ("x = __import__('a')", [Import(module="a", for_types=False)]),
        ("x = 'import a'", []),
    ],
)
def test_every_way_to_import_is_seen(tmp_path: Path, source: str, seen: list[Import]) -> None:
    """At the head, in a function, behind a condition, by name, for the type checker."""
    file = tmp_path / "module.py"
    file.write_text(source)

    assert list(imports(file)) == seen


def test_a_relative_import_is_refused(tmp_path: Path) -> None:
    """It hides which package it leads to."""
    file = tmp_path / "module.py"
    file.write_text("from . import a")

    with pytest.raises(AssertionError, match="relative"):
        imports(file)


def test_a_missing_package_is_an_error() -> None:
    """Otherwise every test about it would be green."""
    with pytest.raises(AssertionError, match="there is no package"):
        modules("nowhere")
