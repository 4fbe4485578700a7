"""Lets `python -m onprem_client` work."""

import sys

from onprem_client.cli import main

if __name__ == "__main__":
    sys.exit(main())
