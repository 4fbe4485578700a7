"""
python -m sandbox up --state DIR       keep an embedded AWS and a stand-in VBR server running
python -m sandbox up --accounts N …    the same for an organization of N accounts and a hub
python -m sandbox demo                 tell the whole story on one, and clean up
python -m sandbox demo-fleet           tell the story of many accounts
"""

import argparse
import contextlib
import dataclasses
import json
import signal
import sys
import tempfile
import threading
from pathlib import Path

from sandbox.assembly import SynthesisError
from sandbox.aws import Credentials, DeploymentError
from sandbox.console_page import ConsolePage, PageOptions
from sandbox.console_page.dashboards import Viewer
from sandbox.demo.console import Console
from sandbox.demo.fleet_story import WITHOUT_NETWORK, FleetStory
from sandbox.demo.lifecycle import Lifecycle, lifecycle_settings
from sandbox.demo.story import Story
from sandbox.demo.teller import UntrueError
from sandbox.fleet import REGIONS, Fleet, FleetOptions
from sandbox.page import OPERATOR, READER, console_page, scheduled_task
from sandbox.running import Sandbox, SandboxOptions, settings_with_server

ROOT = Path(__file__).resolve().parents[1]
# The story needs an account that fails and two that don't.
LEAST_ACCOUNTS, MOST_ACCOUNTS = 3, 100


def main(arguments: list[str]) -> int:
    """Run the command; 0 when it did what it says, 1 when something it says is not true."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=(__doc__ or "").strip())
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="keep a sandbox running until it is interrupted")
    up.add_argument("--state", type=Path, required=True, metavar="DIR", help="where everything is written")
    up.add_argument(
        "--client-every",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="run the client so often, as its scheduled task would; 0: only when the page is asked to",
    )
    demo = commands.add_parser("demo", help="tell the whole story, and clean up")
    lifecycle = commands.add_parser("demo-lifecycle", help="tell what happens to a site over the years")
    fleet = commands.add_parser("demo-fleet", help="tell the story of many accounts")
    up.add_argument("--accounts", type=_count, metavar="N", help="an organization of N accounts and a hub")
    fleet.add_argument("--accounts", type=_count, default=25, metavar="N", help="how many accounts")
    fleet.add_argument("--state", type=Path, metavar="DIR", help="keep what is written here")
    for command in (demo, lifecycle):
        command.add_argument("--state", type=Path, metavar="DIR", help="keep what is written here")
        command.add_argument(
            "--client", type=Path, default=ROOT, metavar="DIR", help="folder of the client's packages"
        )
    for command in (up, demo, lifecycle, fleet):
        command.add_argument(
            "--pending", type=float, default=2.0, metavar="SECONDS", help="how long an endpoint stays pending"
        )
        command.add_argument(
            "--assembly", type=Path, metavar="DIR", help="use this synthesized app instead of synthesizing"
        )
    options = parser.parse_args(arguments)
    # A plain `kill` must clean up too: the functions' processes end with the sandbox. And a shell that starts
    # this in the background lets it ignore interrupts, unless it says otherwise.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        match options.command:
            case "up":
                return _up(options) if options.accounts is None else _up_fleet(options)
            case "demo-fleet":
                return _demo_fleet(options)
            case _:
                return _demo(options)
    except KeyboardInterrupt:
        return 130
    except (SynthesisError, DeploymentError) as error:
        print(error, file=sys.stderr)
        return 1


def _up(options: argparse.Namespace) -> int:
    wanted = dataclasses.replace(
        _sandbox_options(options, options.state), settings=settings_with_server(ROOT)
    )
    with (
        Sandbox(wanted) as sandbox,
        scheduled_task(sandbox, packages=ROOT, every=options.client_every or None) as task,
        console_page(sandbox, viewers=(OPERATOR, READER), task=task) as page,
    ):
        print(f"page       {page.url}    the dashboard with its button, and the backup server")
        print(f"AWS        {sandbox.aws.endpoint_url}    . {sandbox.state / 'env.sh'}")
        print(f"VBR        {sandbox.vbr.url}    user {sandbox.vbr.user}, password in sandbox.json")
        print(f"client     python -m onprem_client run --config {sandbox.client_configuration}")
        if options.client_every:
            print(
                f"             runs by itself every {options.client_every:g} s, as its scheduled task would"
            )
        request = json.dumps({"site": sandbox.settings.site})
        print("start      aws stepfunctions start-execution \\")
        print(f"             --state-machine-arn {sandbox.state_machine_arn} --input '{request}'")
        print("ready", flush=True)
        threading.Event().wait()
    return 0


def _up_fleet(options: argparse.Namespace) -> int:
    with contextlib.ExitStack() as stack:
        fleet = stack.enter_context(Fleet(_fleet_options(options, options.state)))
        fleet.deploy()
        page = stack.enter_context(_fleet_page(fleet, fleet.operator()))
        print(f"AWS        {fleet.aws.endpoint_url}    . {fleet.state / 'env.sh'}")
        print(f"accounts   {fleet.accounts[0]} to {fleet.accounts[-1]}, in {', '.join(REGIONS)}")
        print(f"page       {page.url}")
        print("ready", flush=True)
        threading.Event().wait()
    return 0


def _demo_fleet(options: argparse.Namespace) -> int:
    console = Console(sys.stdout)
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="vbr-privatelink-"))
        try:
            wanted = _fleet_options(options, options.state or Path(temporary), without=(WITHOUT_NETWORK,))
            with console.waiting(
                f"an embedded AWS starts, with an organization of {options.accounts} accounts"
            ):
                fleet = stack.enter_context(Fleet(wanted))

            def open_page(operator: Credentials) -> str:
                return stack.enter_context(_fleet_page(fleet, operator)).url

            FleetStory(fleet, console, open_page=open_page).tell()
        except UntrueError as error:
            console.failed(str(error))
            return 1
    console.done("Every statement above was checked. Nothing is left running.")
    return 0


def _fleet_page(fleet: Fleet, operator: Credentials) -> ConsolePage:
    options = PageOptions(
        viewers={OPERATOR: Viewer(fleet.aws, operator)},
        account_id=fleet.hub_account,
        region=fleet.aws.options.region,
        backup_server=None,
    )
    return ConsolePage(options)


def _fleet_options(
    options: argparse.Namespace, state: Path, *, without: tuple[int, ...] = ()
) -> FleetOptions:
    return FleetOptions(
        state=state.resolve(),
        root=ROOT,
        accounts=options.accounts,
        pending_seconds=options.pending,
        assembly=options.assembly,
        without_network=without,
    )


def _count(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not LEAST_ACCOUNTS <= number <= MOST_ACCOUNTS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of accounts from {LEAST_ACCOUNTS} to {MOST_ACCOUNTS}"
        )
    return number


def _demo(options: argparse.Namespace) -> int:
    console = Console(sys.stdout)
    with contextlib.ExitStack() as stack:
        temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="vbr-privatelink-"))
        state = options.state or Path(temporary)
        try:
            wanted = _sandbox_options(options, state)
            if options.command == "demo-lifecycle":
                wanted = lifecycle_settings(wanted)
            with console.waiting("an embedded AWS and a stand-in VBR server start, the stack is deployed"):
                sandbox = stack.enter_context(Sandbox(wanted))
            # For readers only: somebody who presses a button now would be in another story.
            page = stack.enter_context(console_page(sandbox, viewers=(READER,), task=None))
            console.evidence(f"the dashboard, while this goes on: {page.url}")
            teller = Lifecycle if options.command == "demo-lifecycle" else Story
            teller(sandbox, console, client=options.client.resolve()).tell()
        except UntrueError as error:
            console.failed(str(error))
            return 1
    console.done("Every statement above was checked. Nothing is left running.")
    return 0


def _sandbox_options(options: argparse.Namespace, state: Path) -> SandboxOptions:
    return SandboxOptions(
        state=state.resolve(), root=ROOT, pending_seconds=options.pending, assembly=options.assembly
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
