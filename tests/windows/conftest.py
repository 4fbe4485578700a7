"""Collects these tests on Windows only, and gives them a backup server."""

import sys

import pytest

if sys.platform != "win32":
    collect_ignore_glob = ["test_*.py"]
else:
    import shutil

    from tests.client.server import document
    from tests.windows.backup_server import STATE, BackupServer, configure
    from tests.windows.killed import publish

    @pytest.fixture(scope="session", name="_installed")
    def _installed_server() -> BackupServer:
        server = BackupServer()
        server.install()
        return server

    @pytest.fixture(name="server")
    def _server(_installed: BackupServer) -> BackupServer:
        """VBR before the first apply, a published document, and nothing that an earlier test left."""
        shutil.rmtree(STATE, ignore_errors=True)
        _installed.reset()
        configure()
        publish(document())
        return _installed
