"""Every module of the project, and what it imports."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ("contract", "lambdas", "stacks", "onprem_client", "site_cli", "sandbox", "generate", "bench", "tests")


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One imported module by its full name; one that only the type checker sees is `for_types`."""

    module: str
    for_types: bool

    @property
    def package(self) -> str:
        """The first part of the name."""
        return self.module.split(".")[0]


@cache
def modules(package: str) -> tuple[Path, ...]:
    """Return the files of a package; one that is missing or empty is an error, not a success."""
    found = tuple(sorted((ROOT / package).rglob("*.py")))
    assert (ROOT / package / "__init__.py") in found, f"there is no package {package}"
    assert len(found) > 1, f"package {package} is empty"
    return found


@cache
def imports(file: Path) -> tuple[Import, ...]:
    """Return what a file imports, wherever in it: at its head, in a function, for the type checker."""
    return tuple(_imports(ast.parse(file.read_text(encoding="utf-8")), for_types=False))


def _imports(node: ast.AST, *, for_types: bool) -> Iterator[Import]:
    match node:
        case ast.Import(names=names):
            for alias in names:
                yield Import(module=alias.name, for_types=for_types)
        case ast.ImportFrom(module=module, names=names, level=0):
            # `from a import b` may import the module a.b, or a name of a: the longer one covers both.
            for alias in names:
                yield Import(module=f"{module}.{alias.name}", for_types=for_types)
        case ast.ImportFrom():
            raise AssertionError("a relative import hides which arrow it adds")
        case ast.Call(
            func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"),
            args=[ast.Constant(value=str(module)), *_],
        ):
            yield Import(module=module, for_types=for_types)
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), body=body, orelse=orelse):
            for statement in body:
                yield from _imports(statement, for_types=True)
            for statement in orelse:
                yield from _imports(statement, for_types=for_types)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _imports(child, for_types=for_types)


def name(file: Path) -> str:
    """Return a file's name as people see it from the checkout."""
    return file.relative_to(ROOT).as_posix()
