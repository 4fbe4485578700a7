"""
python -m generate            write what is made from the code: schemas and pictures
python -m generate --check    only say which files are not up to date; 1 if there are any
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from generate import pictures, schemas
from generate.schemas import ROOT, GenerationError
from sandbox.assembly import Assembly, SynthesisError, synthesize


def main(arguments: list[str]) -> int:
    """Write or compare every generated file."""
    if arguments not in ([], ["--check"]):
        print((__doc__ or "").strip(), file=sys.stderr)
        return 2
    try:
        wanted = {**schemas.files(), **pictures.files(template())}
    except (GenerationError, SynthesisError) as error:
        print(f"generate: {error}", file=sys.stderr)
        return 1
    old = [file for file, text in wanted.items() if not file.exists() or file.read_text("utf-8") != text]
    for file in old:
        if arguments:
            print(f"{file.relative_to(ROOT)} is not up to date: make generate", file=sys.stderr)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(wanted[file], encoding="utf-8")
            print(f"wrote {file.relative_to(ROOT)}")
    return 1 if arguments and old else 0


def template() -> dict[str, Any]:
    """Synthesize the app with the settings that are delivered."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "cdk.out"
        synthesize(ROOT, folder)
        file = folder / f"{Assembly.read(folder).stack_name}.template.json"
        read: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return read


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
