"""
Who may import whom.

    lambdas ──► contract ◄── onprem_client
    stacks ──► contract, and of lambdas only the errors (their names are the Retry lists)
    site_cli ──► contract: it is installed without the rest
    sandbox ──► contract: it stands for the outside world
    generate ──► all of these: it writes schemas and pictures from the code, and ships nowhere

Without this, the first shortcut is taken on a Friday and the diagram is a memory.
"""

import ast
import sys
from pathlib import Path

import pytest

from tests.architecture.modules import OURS, ROOT, Import, imports, modules, name

PRODUCT = ("contract", "lambdas", "stacks", "onprem_client", "site_cli", "sandbox", "generate")
# Of our own packages, beside itself.
MAY_IMPORT = {
    "contract": set[str](),
    "lambdas": {"contract"},
    "stacks": {"contract", "lambdas"},
    "onprem_client": {"contract"},
    "site_cli": {"contract"},
    "sandbox": {"contract"},
    "generate": {"contract", "onprem_client", "sandbox", "site_cli", "stacks"},
    "bench": {"contract", "sandbox", "tests"},
}
# Third-party packages; the sandbox is for development and may use any.
THIRD_PARTY = {
    "contract": set[str](),
    # What Powertools' layer and the runtime bring; nothing else is deployed.
    "lambdas": {"aws_lambda_powertools", "boto3", "botocore", "pydantic"},
    "stacks": {"aws_cdk", "cdk_nag", "cdk_stacksets", "constructs", "jsii"},
    # urllib3 comes with botocore, and is locked in requirements.txt.
    "onprem_client": {"boto3", "botocore", "urllib3"},
    "site_cli": {"boto3", "botocore", "rich"},
}
# Code that works on one operating system only.
OF_AN_OPERATING_SYSTEM = {
    "_winapi",
    "_winreg",
    "ctypes",
    "fcntl",
    "grp",
    "msvcrt",
    "nt",
    "ntsecuritycon",
    "posix",
    "pwd",
    "pythoncom",
    "pywintypes",
    "resource",
    "servicemanager",
    "subprocess",
    "syslog",
    "termios",
    "winerror",
    "winreg",
}
HANDLERS_WITH_A_CLOCK = {
    "lambdas/acquire_lease/handler.py",
    "lambdas/attach_bucket_policy/handler.py",
    "lambdas/publish_endpoint/handler.py",
    "lambdas/read_adoption/handler.py",
    "lambdas/record_site_status/handler.py",
    "lambdas/survey_fleet/handler.py",
    "lambdas/show_fleet/handler.py",
    "lambdas/watch_servers/handler.py",
    "lambdas/show_sites/handler.py",
}
VAGUE = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}
SERVICES = ("dynamodb_", "ec2_", "eventbridge_", "s3_", "ssm_", "stepfunctions_")


def of_an_operating_system(found: Import) -> bool:
    """Say whether a module exists on one operating system only; pywin32 has dozens of them."""
    return found.package in OF_AN_OPERATING_SYSTEM or found.package.startswith("win32")


each_package = pytest.mark.parametrize("package", PRODUCT)


def steps() -> list[Path]:
    """Return the folders of the steps."""
    found = sorted({file.parent for file in modules("lambdas")} - {ROOT / "lambdas", ROOT / "lambdas/core"})
    assert len(found) >= 10
    return found


@pytest.mark.parametrize("package", OURS)
def test_every_package_is_there(package: str) -> None:
    """A package that was renamed must not make the arrows vacuously true."""
    assert modules(package)


@each_package
def test_packages_import_of_ours_only_what_the_diagram_allows(package: str) -> None:
    """Tests are nobody's dependency, and the client never needs the cloud's code."""
    for file in modules(package):
        foreign = {found.package for found in imports(file)} & set(OURS) - {package} - MAY_IMPORT[package]
        assert not foreign, f"{name(file)} imports {sorted(foreign)}"


@pytest.mark.parametrize("package", THIRD_PARTY)
def test_packages_import_of_others_only_what_is_deployed_with_them(package: str) -> None:
    """An import that works on a developer's machine fails in Lambda, or on a server without internet."""
    for file in modules(package):
        foreign = {
            found.package
            for found in imports(file)
            if not (found.for_types and found.package.startswith("mypy_boto3_"))
            # Where those may be has its own test.
            and not (package == "onprem_client" and of_an_operating_system(found))
        } - {*OURS, *sys.stdlib_module_names, *THIRD_PARTY[package]}
        assert not foreign, f"{name(file)} imports {sorted(foreign)}"


def test_stacks_take_nothing_but_the_errors_from_the_steps() -> None:
    """Anything more, and synth would need what only Lambda has."""
    taken = {
        found.module for file in modules("stacks") for found in imports(file) if found.package == "lambdas"
    }

    assert taken
    assert all(module.startswith("lambdas.core.errors.") for module in taken), taken


def test_the_errors_of_the_steps_import_nothing_that_a_stack_lacks() -> None:
    """Importing them imports lambdas and lambdas.core as well."""
    for file in ("lambdas/__init__.py", "lambdas/core/__init__.py", "lambdas/core/errors.py"):
        foreign = {found.package for found in imports(ROOT / file)} - set(sys.stdlib_module_names)
        assert not foreign, f"{file} imports {sorted(foreign)}"


def test_app_composes_and_does_nothing_else() -> None:
    """Under 40 lines, and nothing that could look something up."""
    app = ROOT / "app.py"
    allowed = {"aws_cdk", "cdk_nag", "contract", "json", "pathlib", "stacks", "sys"}

    assert len(app.read_text().splitlines()) < 40
    assert {found.package for found in imports(app)} <= allowed


def test_code_of_an_operating_system_lives_in_one_folder_of_the_client() -> None:
    """Everywhere else the client must run, and be tested, on any machine."""
    windows = ROOT / "onprem_client/windows"
    outside = [file for file in modules("onprem_client") if not file.is_relative_to(windows)]

    assert windows.is_dir()
    assert outside
    for file in outside:
        foreign = {found.package for found in imports(file) if of_an_operating_system(found)}
        assert not foreign, f"{name(file)} imports {sorted(foreign)}"


@pytest.mark.parametrize("package", ["contract", "lambdas", "stacks", "site_cli"])
def test_nothing_else_of_the_product_knows_an_operating_system(package: str) -> None:
    """The cloud side has no reason to start a process."""
    for file in modules(package):
        foreign = {found.package for found in imports(file) if of_an_operating_system(found)}
        assert not foreign, f"{name(file)} imports {sorted(foreign)}"


@pytest.mark.parametrize("package", OURS)
def test_no_module_has_a_name_that_says_nothing(package: str) -> None:
    """What has no name has no owner: such a module only ever grows."""
    vague = [
        name(file)
        for file in modules(package)
        if VAGUE & {*file.with_suffix("").relative_to(ROOT).parts, *file.stem.split("_")}
    ]

    assert not vague


def test_every_step_has_a_handler_with_the_name_that_lambda_calls() -> None:
    """A renamed function is found by Lambda only when it is called."""
    answers = ("dict[str, Any]", "Markup")
    for step in steps():
        text = (step / "handler.py").read_text()
        assert any(
            f"\ndef lambda_handler(event: dict[str, Any]) -> {answer}:\n" in text for answer in answers
        ), name(step)


def test_a_step_imports_itself_the_core_and_the_contract() -> None:
    """Steps that import each other can't be changed, or given roles, one at a time."""
    for step in steps():
        for file in sorted(step.glob("*.py")):
            foreign = {
                ".".join(found.module.split(".")[:2]) for found in imports(file) if found.package == "lambdas"
            } - {"lambdas.core", f"lambdas.{step.name}"}
            assert not foreign, f"{name(file)} imports {sorted(foreign)}"


def test_the_core_imports_no_step() -> None:
    """What all share must not depend on one of them."""
    for file in sorted((ROOT / "lambdas/core").glob("*.py")):
        foreign = {
            found.module
            for found in imports(file)
            if found.package == "lambdas" and not found.module.startswith("lambdas.core.")
        }
        assert not foreign, f"{name(file)} imports {sorted(foreign)}"


def test_only_handlers_make_clients() -> None:
    """An adapter gets its client through the constructor, so that a test can give it another."""
    making = {
        name(file)
        for file in modules("lambdas")
        if any(found.package == "boto3" and not found.for_types for found in imports(file))
    }

    assert making
    assert all(file.endswith("/handler.py") for file in making), making


def test_only_adapters_and_the_frame_know_botocore() -> None:
    """Logic decides on values; error codes of AWS are for <service>_<thing>.py to read."""
    frame = {"lambdas/core/clients.py", "lambdas/core/step.py"}
    knowing = {
        name(file): file.name
        for file in modules("lambdas")
        if any(found.package == "botocore" for found in imports(file))
    }

    assert frame < set(knowing)
    for file, stem in knowing.items():
        assert file in frame or stem.startswith(SERVICES), file


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("os", {"lambdas/core/settings.py"}),
        # To reckon with times; who may ask for the time has its own test.
        (
            "datetime",
            {
                *HANDLERS_WITH_A_CLOCK,
                "lambdas/acquire_lease/request.py",
                "lambdas/core/fleet.py",
                "lambdas/core/dynamodb_sites.py",
                "lambdas/core/known_sites.py",
                "lambdas/core/site_markup.py",
                "lambdas/core/site_overview.py",
                "lambdas/read_adoption/logic.py",
                "lambdas/record_site_status/logic.py",
                "lambdas/show_fleet/fleet_sections.py",
                "lambdas/show_fleet/logic.py",
                "lambdas/show_sites/logic.py",
                "lambdas/show_sites/site_sections.py",
                "lambdas/watch_servers/logic.py",
            },
        ),
        ("time", set()),
        ("random", set()),
        ("uuid", set()),
        ("socket", set()),
    ],
)
def test_environment_clock_and_chance_are_read_in_one_place(module: str, allowed: set[str]) -> None:
    """Logic that reads them decides differently each time, and no test can say what is right."""
    reading = {
        name(file) for file in modules("lambdas") if any(found.package == module for found in imports(file))
    }

    assert reading == allowed


def test_the_clock_is_read_by_handlers_alone() -> None:
    """Logic may reckon with a time that it is given; whoever asks what time it is can't be tested."""
    asked = {"now", "utcnow", "today", "time", "monotonic"}
    asking = {
        name(file)
        for file in modules("lambdas")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in asked
    }

    assert asking == HANDLERS_WITH_A_CLOCK


def test_logic_and_adapters_are_where_their_names_say() -> None:
    """A step has logic.py when it decides something; whatever calls AWS is named for the service."""
    for step in steps():
        files = {file.name for file in step.glob("*.py")} - {"__init__.py", "handler.py"}
        adapters = {file for file in files if file.startswith(SERVICES)}
        # What several steps ask AWS in the same words is in the core.
        shared = {
            found.module.split(".")[2]
            for found in imports(step / "handler.py")
            if found.module.startswith("lambdas.core.") and found.module.split(".")[2].startswith(SERVICES)
        }
        assert adapters or shared, name(step)
        assert "logic.py" in files or files == adapters, name(step)


@each_package
def test_every_module_says_what_it_is_for(package: str) -> None:
    """A file opens with what it is for; an empty __init__.py has nothing to say."""
    silent = [
        name(file)
        for file in modules(package)
        if (text := file.read_text(encoding="utf-8")) and not text.startswith('"""')
    ]

    assert not silent
