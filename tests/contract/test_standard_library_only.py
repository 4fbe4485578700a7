"""The client carries contract/ to servers without internet: it must run on Python alone."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# No site-packages (-S), no environment and no working directory in the path (-I).
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import pkgutil
import contract
found = [module.name for module in pkgutil.iter_modules(contract.__path__, "contract.")]
for name in found:
    __import__(name)
from contract.documents import EndpointDocument
text = open(sys.argv[2], encoding="ascii").read()
assert EndpointDocument.from_json(text).to_json()
print(*found)
"""


def test_contract_runs_on_python_alone() -> None:
    """A third-party import would break every client at its next update, and only there."""
    document = ROOT / "tests/contract/golden/endpoint-document-1-active.json"

    answer = subprocess.run(
        [sys.executable, "-S", "-I", "-B", "-c", PROGRAM, str(ROOT), str(document)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert answer.returncode == 0, answer.stderr
    assert set(answer.stdout.split()) == {
        f"contract.{path.stem}" for path in (ROOT / "contract").glob("*.py") if path.stem != "__init__"
    }
