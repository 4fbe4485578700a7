"""`python -m site_cli` is `vbr-privatelink-site` without an installation."""

import sys

from site_cli.cli import main

if __name__ == "__main__":
    sys.exit(main())
