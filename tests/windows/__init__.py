"""The client on a real Windows Python; `python -m tests.windows` runs these tests on Linux, inside wine."""

from pathlib import Path


def toy_service_path() -> Path:
    """Return the program of the service that stands for Veeam's."""
    return Path(__file__).with_name("toy_service.py")
