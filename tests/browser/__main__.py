"""
python -m tests.browser install    install Debian's Chromium unless one is there (needs root, once)
"""

import sys

from tests.browser.chromium import ChromiumError, install


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    if arguments != ["install"]:
        print((__doc__ or "").strip(), file=sys.stderr)
        return 2
    try:
        install()
    except ChromiumError as error:
        print(f"browser: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
