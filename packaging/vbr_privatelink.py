#!/usr/bin/env python3
"""Where vbr-privatelink.exe begins."""

import sys

from onprem_client.cli import main

if __name__ == "__main__":
    sys.exit(main())
