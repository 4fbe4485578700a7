"""Which commit this was built from; `make dist` replaces this file in what it builds."""

COMMIT = "none: run from its source"
