"""
The parts of the documentation that are made from what is proven; `make generate` writes them.

    docs/security.md                        the table of the policy proof, between two markers
    docs/policies/vbr-user.json             what VBR's IAM user needs, by the example of one site
    docs/policies/vbr-user-immutable.json   the same with an immutable bucket
"""

import json
from itertools import groupby
from pathlib import Path

from stacks.policies import backup_user
from tests.conftest import ROOT
from tests.proofs.requests import ROWS, Row

BEGIN = "<!-- the policy proof: written by `make generate`, from tests/proofs/requests.py -->"
END = "<!-- the end of the policy proof -->"
SECURITY = ROOT / "docs" / "security.md"
POLICIES = ROOT / "docs" / "policies"
ACCOUNT, REGION = "111122223333", "ap-northeast-1"


def files() -> dict[Path, str]:
    """Return every file that is made, as it should be."""
    return {
        SECURITY: with_section(SECURITY.read_text(encoding="utf-8")),
        POLICIES / "vbr-user.json": _policy(immutable=False),
        POLICIES / "vbr-user-immutable.json": _policy(immutable=True),
    }


def with_section(text: str) -> str:
    """Return *text* with the table between its markers; what stands outside is somebody else's."""
    head, begin, rest = text.partition(BEGIN)
    _old, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{SECURITY.name} has lost its markers; put these lines back: {BEGIN} {END}")
    return f"{head}{BEGIN}\n\n{_table()}\n{END}{tail}"


def _table() -> str:
    lines = ["| who | from where | what | on | answer |", "|---|---|---|---|---|"]
    for who, rows in groupby(ROWS, key=lambda row: row.who):
        for number, row in enumerate(rows):
            shown = f"**{who}**" if number == 0 else ""
            lines.append(f"| {shown} | {row.where} | {row.what} | {row.on} | {_answer(row)} |")
    return "\n".join([*lines, ""])


def _answer(row: Row) -> str:
    if row.answer == "allowed":
        return "allowed"
    if not row.by:
        return "denied: nothing allows it"
    named = ", ".join(f"`{by}`" if by.startswith("Deny") else by for by in row.by)
    return f"denied by {named}"


def _policy(*, immutable: bool) -> str:
    bucket = f"arn:aws:s3:::vbr-tokyo-{ACCOUNT}-{REGION}"
    statements = backup_user.statements(
        [bucket], immutable_bucket_arns=[bucket] if immutable else [], account_id=ACCOUNT
    )
    order = ("Sid", "Effect", "Action", "Resource", "Condition")
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {name: made[name] for name in order if name in made}
            for made in (statement.to_statement_json() for statement in statements)
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def main() -> None:
    """Write the files that aren't as they should be."""
    for path, text in files().items():
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
