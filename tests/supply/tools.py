"""The scripts in packaging/, which is no package: one of that name would hide PyPI's `packaging`."""

import importlib.util
import sys
from typing import Any

from tests.conftest import ROOT


def tool(name: str) -> Any:
    """Load packaging/<name>.py once, as a script that runs there would find it."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / "packaging" / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


SBOM = tool("sbom")
BILLS = tool("bills")
DIST = tool("dist")
AUDIT = tool("audit")
