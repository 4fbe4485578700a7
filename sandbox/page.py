"""The console page of a running sandbox: its address, who looks at it, and the backup server beside it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sandbox.client_process import Ended, run_client
from sandbox.console_page import ConsolePage, PageOptions
from sandbox.console_page.backup_server import BackupServerPanel
from sandbox.console_page.dashboards import Viewer
from sandbox.running import SERVER, Sandbox
from sandbox.scheduled_task import ScheduledTask

OPERATOR = "operator"
READER = "reader"

_CLIENT_PATIENCE_SECONDS = 120.0


@contextlib.contextmanager
def console_page(
    sandbox: Sandbox, *, viewers: tuple[str, ...], task: ScheduledTask | None
) -> Iterator[ConsolePage]:
    """
    Serve the page to *viewers*: users with one of the product's managed policies, and nothing else.

    Without *task* the page shows the backup server, and nobody can run the client from there.
    """
    keys = {OPERATOR: sandbox.operator_keys, READER: sandbox.reader_keys}
    options = PageOptions(
        viewers={name: Viewer(sandbox.aws, keys[name]) for name in viewers},
        account_id=sandbox.assembly.account_id,
        region=sandbox.assembly.region,
        backup_server=BackupServerPanel(
            server=SERVER, folder=sandbox.vbr.folder, region=sandbox.assembly.region, task=task
        ),
    )
    with ConsolePage(options) as page:
        yield page


def scheduled_task(sandbox: Sandbox, *, packages: Path, every: float | None) -> ScheduledTask:
    """Make the task that runs the client in the folder *packages*, *every* seconds or when asked."""

    def client() -> Ended:
        words = ["run", "--config", str(sandbox.client_configuration)]
        return run_client(words, packages=packages, patience_seconds=_CLIENT_PATIENCE_SECONDS)

    return ScheduledTask(client, every=every)
