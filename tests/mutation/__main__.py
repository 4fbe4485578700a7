"""Runs mutmut on a copy of the checkout, one group of modules after the other, each with its own tests."""

import ast
import difflib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

DOCUMENT = ROOT / "docs" / "mutation-testing.md"
BEGIN, END = "<!-- the scores: written by `make mutants` -->", "<!-- the end of the scores -->"
# Packages that tests of any group may import; what is mutated is among them.
PACKAGES = ("contract", "lambdas", "onprem_client", "sandbox", "stacks")
# mutmut's exit codes of a mutant beside 0, a survivor: no test was found for it.
_UNTESTED = {5, 33}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Modules that are mutated together, the tests that must notice, and those that mutmut itself breaks."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]
    leave_out: str = ""


GROUPS = {
    "contract": Group(
        modules=("contract/*.py",),
        tests=("tests/contract",),
        # mutmut's own frames use up the stack, and its own package is imported.
        leave_out="not at_every_depth and not standard_library",
    ),
    "workflow": Group(
        modules=(
            "lambdas/*/logic.py",
            "lambdas/acquire_lease/request.py",
            "lambdas/attach_bucket_policy/statements.py",
            "lambdas/core/drift.py",
            "lambdas/core/policy_documents.py",
            "lambdas/core/policy_names.py",
            "lambdas/ensure_endpoint/endpoint_policy.py",
        ),
        tests=(
            "tests/unit/test_acquire_lease.py",
            "tests/unit/test_attach_bucket_policy.py",
            "tests/unit/test_check_endpoint.py",
            "tests/unit/test_ensure_bucket.py",
            "tests/unit/test_ensure_endpoint.py",
            "tests/unit/test_fleet.py",
            "tests/unit/test_fleet_console.py",
            "tests/unit/test_guests.py",
            "tests/unit/test_prove_lockdown.py",
            "tests/unit/test_publish_endpoint.py",
            "tests/unit/test_read_adoption.py",
            "tests/unit/test_reconcile_request.py",
            "tests/unit/test_release_lease.py",
            "tests/unit/test_remove_endpoints.py",
            "tests/unit/test_resolve_request.py",
            "tests/unit/test_show_sites.py",
            "tests/unit/test_undo_provisioning.py",
        ),
    ),
    "client": Group(
        modules=(
            "onprem_client/plan.py",
            "onprem_client/journal.py",
            "onprem_client/resources/region_xml.py",
        ),
        tests=(
            "tests/client/test_plan.py",
            "tests/client/test_journal.py",
            "tests/client/test_region_xml.py",
        ),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What became of the mutants of one module; those that never ran are counted as survivors."""

    noticed: int
    survivors: tuple[str, ...]

    @property
    def mutants(self) -> int:
        """All of them."""
        return self.noticed + len(self.survivors)


def main() -> int:
    """0 when every group was run; what survives is for a person to judge."""
    mutmut, *names = sys.argv[1:]
    scores: dict[str, Score] = {}
    for name in names or GROUPS:
        folder = ROOT / ".mutants" / name
        copy_into(folder, GROUPS[name])
        done = subprocess.run(
            ["nice", "-n", "15", str((ROOT / mutmut).absolute()), "run", "--max-children", "1"],
            cwd=folder,
            check=False,
        )
        if done.returncode:
            print(f"mutmut ended with {done.returncode} in {folder}", file=sys.stderr)
            return 1
        found = scores_of(folder)
        for module, score in found.items():
            print(f"{module}: {score.noticed} of {score.mutants} noticed")
            for survivor in score.survivors:
                print("\n".join([survivor, *difference(folder, module, survivor)]))
        scores |= found
    write(scores)
    return 0


def copy_into(folder: Path, group: Group) -> None:
    """Copy the checkout, as it is now, with mutmut's settings for the group."""
    shutil.rmtree(folder, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for file in filter(None, listed.split("\0")):
        if (ROOT / file).is_file():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / file, folder / file)
    sources = sorted({module.split("/")[0] for module in group.modules})
    arguments = ["-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not long"]
    settings: Mapping[str, object] = {
        "source_paths": sources,
        "only_mutate": list(group.modules),
        "also_copy": [package for package in PACKAGES if package not in sources],
        "pytest_add_cli_args": [*arguments, *(["-k", group.leave_out] if group.leave_out else [])],
        "pytest_add_cli_args_test_selection": list(group.tests),
        "use_git_change_detection": False,
    }
    with (folder / "pyproject.toml").open("a") as project:
        project.write("\n[tool.mutmut]\n")
        project.writelines(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())


def scores_of(folder: Path) -> dict[str, Score]:
    """Read what mutmut has kept beside each mutated module."""
    scores = {}
    for meta in sorted((folder / "mutants").rglob("*.py.meta")):
        codes: dict[str, int | None] = json.loads(meta.read_text())["exit_code_by_key"]
        if codes:
            survivors = tuple(name for name, code in codes.items() if code in {0, None, *_UNTESTED})
            module = meta.relative_to(folder / "mutants").as_posix().removesuffix(".meta")
            scores[module] = Score(noticed=len(codes) - len(survivors), survivors=survivors)
    if not scores:
        raise ValueError(f"there are no mutants in {folder}")
    return scores


def difference(folder: Path, module: str, mutant: str) -> Iterator[str]:
    """Yield the lines that a mutant has changed; mutmut keeps both functions in the mutated module."""
    text = (folder / "mutants" / module).read_text()
    functions = {
        node.name: ast.get_source_segment(text, node) or ""
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
    }
    name = mutant.rsplit(".", 1)[1]
    original = re.sub(r"__mutmut_\d+$", "__mutmut_orig", name)
    for line in difflib.unified_diff(
        functions[original].splitlines()[1:], functions[name].splitlines()[1:], lineterm="", n=0
    ):
        if line[0] in "+-" and not line.startswith(("---", "+++")):
            yield f"    {line[0]} {line[1:].strip()}"


def table(scores: Mapping[str, Score]) -> Sequence[str]:
    """Return the table's rows, without its head, in the order of the modules' names."""
    return [
        f"| `{module}` | {score.mutants} | {score.noticed} | {len(score.survivors)} | "
        f"{100 * score.noticed / score.mutants:.1f} % |"
        for module, score in sorted(scores.items())
    ]


def write(scores: Mapping[str, Score]) -> None:
    """Put the rows into the document; those of groups that were not run stay."""
    text = DOCUMENT.read_text()
    head, rest = text.split(BEGIN)
    middle, tail = rest.split(END)
    rows = {line.split("|")[1]: line for line in middle.splitlines() if line.startswith("| `")}
    rows |= {line.split("|")[1]: line for line in table(scores)}
    lines = ["| module | mutants | noticed | survived | score |", "|---|---|---|---|---|"]
    DOCUMENT.write_text(
        "\n".join([f"{head}{BEGIN}", "", *lines, *(rows[key] for key in sorted(rows)), "", f"{END}{tail}"])
    )


if __name__ == "__main__":
    sys.exit(main())
