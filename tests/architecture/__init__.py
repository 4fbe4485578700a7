"""The arrows of the design, held by tests."""
