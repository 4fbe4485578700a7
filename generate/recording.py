"""
python -m generate.recording    record docs/images/provision.svg

The commands that README.md gives for a first look by hand are run on a sandbox, and what they print is drawn
as a terminal. Ids and times differ each time, so nothing compares the picture; record it again when the words
change.
"""

import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from sandbox.running import Sandbox, SandboxOptions

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "provision.svg"
_COLUMNS = 112


def by_hand(readme: Path) -> list[str]:
    """Return the commands that begin with the sandbox's environment, in their order."""
    for block in re.findall(r"(?ms)^```console\n(.*?)^```", readme.read_text(encoding="utf-8")):
        lines: list[str] = [line.removeprefix("$ ") for line in block.splitlines()]
        if ". .sandbox/env.sh" in lines:
            return [line for line in lines if not line.startswith(". ")]
    raise ValueError(f"{readme} has no commands for a sandbox")


def environment(state: Path) -> dict[str, str]:
    """What a shell has after `. env.sh`."""
    words = [shlex.split(line) for line in (state / "env.sh").read_text(encoding="utf-8").splitlines()]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**kept, **dict(assignment.split("=", 1) for _export, assignment in words)}


def run(command: str, state: Path) -> str:
    """Run one of the commands on the sandbox in *state*, and return what it prints; raises when it fails."""
    _python, *arguments = shlex.split(command.replace(".sandbox/", f"{state}/"))
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment(state),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    # 10 is what `plan` says where something waits for `apply`.
    if done.returncode not in (0, 10):
        raise RuntimeError(f"{command}\n{done.stdout}{done.stderr}")
    return done.stdout.replace(f"{state}/", ".sandbox/")


def main() -> int:
    """Record the picture."""
    console = Console(record=True, width=_COLUMNS, file=io.StringIO())
    with tempfile.TemporaryDirectory() as temporary:
        options = SandboxOptions(state=Path(temporary) / "s", root=ROOT, pending_seconds=3, assembly=None)
        with Sandbox(options) as sandbox:
            for command in by_hand(ROOT / "README.md"):
                console.print(Text(f"$ {command}", style="bold"))
                console.print(Text(run(command, sandbox.state).rstrip()))
    # Rich's own frame loads a font from another host.
    frame = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    frame = frame.replace("Fira Code, monospace", "DejaVu Sans Mono, Consolas, monospace")
    PICTURE.write_text(console.export_svg(title="VBR PrivateLink", code_format=frame), encoding="utf-8")
    print(f"wrote {PICTURE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
