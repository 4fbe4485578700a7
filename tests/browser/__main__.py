"""
python -m tests.browser install        install Debian's Chromium unless one is there (needs root, once)
python -m tests.browser screenshots    draw the pictures of docs/images anew
"""

import sys

from tests.browser.chromium import ChromiumError, install
from tests.browser.pictures import draw


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    match arguments:
        case ["install"]:
            run = install
        case ["screenshots"]:
            run = draw
        case _:
            print((__doc__ or "").strip(), file=sys.stderr)
            return 2
    try:
        run()
    except ChromiumError as error:
        print(f"browser: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
