"""A control that no test holds is a hope: each test that docs/security.md names is there."""

import ast
import json
import re

import pytest

from lambdas.acquire_lease.request import _DETAIL_TYPES
from sandbox.aws.policy import PolicyRequest, Verdict, evaluate
from tests.conftest import ROOT

TEXT = (ROOT / "docs/security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[a-z0-9_/]+\.py(?:::[a-z0-9_]+)?)`", TEXT)))
ROWS = [
    row
    for row in TEXT[TEXT.index("## Who could abuse what") :].splitlines()
    if row.startswith("| ") and "held by" not in row
]


def test_there_is_a_model() -> None:
    """A pattern that finds nothing must not look green."""
    assert len(ROWS) >= 25
    assert len(NAMED) >= 40


@pytest.mark.parametrize("named", NAMED)
def test_every_test_that_is_named_is_there(named: str) -> None:
    """Renamed or removed, the row would go on saying that somebody looks."""
    file, _, name = named.partition("::")
    tree = ast.parse((ROOT / file).read_text())

    assert not name or name in {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize("row", ROWS, ids=[str(number) for number in range(len(ROWS))])
def test_every_row_names_a_control_and_a_test(row: str) -> None:
    """Three cells, none of them empty."""
    cells = [cell.strip() for cell in row.strip("|").split("|")]

    assert len(cells) == 3
    assert all(cells)
    assert "`tests/" in cells[2]


@pytest.mark.parametrize(
    ("role", "source", "kind", "verdict"),
    [
        *(("developer", "vbr-privatelink", kind, Verdict.DENIED) for kind in _DETAIL_TYPES),
        ("developer", "their.own", "Release Requested", Verdict.SILENT),
        # What the product's own step tells the account.
        ("vbr-privatelink-step", "vbr-privatelink", "Site Status", Verdict.SILENT),
        ("backup-operator", "vbr-privatelink", "Release Requested", Verdict.SILENT),
        ("backup-operator-2", "vbr-privatelink", "Release Requested", Verdict.DENIED),
    ],
)
def test_the_policy_for_requests_denies_what_it_says(
    role: str, source: str, kind: str, verdict: Verdict
) -> None:
    """People copy it."""
    (block,) = re.findall(r"evaluates it -->\n```json\n(.*?)```", TEXT, re.DOTALL)
    arn = f"arn:aws:iam::111122223333:role/{role}"
    request = PolicyRequest(
        action="events:PutEvents",
        resource="arn:aws:events:ap-northeast-1:111122223333:event-bus/default",
        caller_arns=(arn,),
        caller_account="111122223333",
        context={"aws:principalarn": arn, "events:source": source, "events:detail-type": kind},
    )
    policy = json.loads(block)
    policy["Statement"][0]["Principal"] = "*"

    assert evaluate(policy, request) is verdict
