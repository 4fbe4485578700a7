"""
The command line: arguments in, words and an exit code out.

stdout is for the operator, stderr for errors; an expected error has no traceback. With --json, stdout holds
one JSON object and nothing else.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from onprem_client import __version__
from onprem_client.adoption import Goal, Wish
from onprem_client.client import Client, Result
from onprem_client.clock import SystemClock
from onprem_client.configuration import Configuration, load
from onprem_client.errors import EXIT_DONE, ClientError, NotConfirmedError, NotPublishedError, exit_codes
from onprem_client.parameter_store import SsmParameters
from onprem_client.windows import machine

PROGRAM = "vbr-privatelink"

COMMANDS = {
    "plan": "say what `apply` would change; changes nothing",
    "apply": "make this server back up through the published endpoint",
    "run": "what the scheduled task calls: recover, then apply if auto_apply is on, else say what waits",
    "undo": "go back to before the first apply, and hold the sites until the next `apply`",
    "status": "show the configuration, the documents, the server and the journal",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A name in a message must not end the program because the console's code page lacks a letter.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        configuration = load(options.config)
        client = Client(
            configuration,
            machine.machine(state_folder=configuration.state_folder, stand_in=configuration.stand_in),
            lambda region: SsmParameters(region, aws=configuration.aws),
            SystemClock(),
        )
        if options.command == "status":
            _show_status(client.status(), as_json=options.json)
            return EXIT_DONE
        result = _result(client, options)
    except ClientError as error:
        if options.json:
            value = {"command": options.command, "exit_code": error.exit_code, "error": str(error)}
            print(json.dumps(value, indent=2))
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return error.exit_code
    _show(result, configuration, as_json=options.json, confirmed_here=_asked(options))
    return result.exit_code


def _parser() -> argparse.ArgumentParser:
    codes = "\n".join(f"  {code:>2}  {meaning}" for code, meaning in exit_codes())
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Lets Veeam Backup & Replication on this server back up through a private S3 endpoint.",
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in COMMANDS.items():
        command = commands.add_parser(
            name, help=what, description=what, epilog=parser.epilog, formatter_class=parser.formatter_class
        )
        command.add_argument(
            "--config",
            type=Path,
            metavar="FILE",
            default=machine.DEFAULT_CONFIGURATION,
            required=machine.DEFAULT_CONFIGURATION is None,
            help="client.toml"
            + (f" (default: {machine.DEFAULT_CONFIGURATION})" * bool(machine.DEFAULT_CONFIGURATION)),
        )
        command.add_argument("--json", action="store_true", help="print one JSON object")
        if name in ("apply", "undo"):
            command.add_argument(
                "--yes", action="store_true", help="don't ask before the service is restarted"
            )
        if name == "undo":
            command.add_argument("--site", metavar="NAME", help="only this site (default: all)")
    return parser


def _result(client: Client, options: argparse.Namespace) -> Result:
    def confirm(result: Result) -> bool:
        if options.yes:
            return True
        # A script that calls `undo` means it; a person is asked.
        if options.command == "undo" and not sys.stdin.isatty():
            return True
        if options.json or not sys.stdin.isatty():
            raise NotConfirmedError("there is nobody to ask: call it with --yes; nothing was changed")
        _show_changes(result)
        print("Go on? The service is restarted. [y/N] ", end="", flush=True)
        try:
            return sys.stdin.readline().strip().lower() in ("y", "yes")
        except KeyboardInterrupt:
            return False

    match options.command:
        case "plan":
            return client.plan()
        case "apply":
            return client.apply(confirm)
        case "run":
            return client.run()
        case _:
            return client.undo(confirm, site=options.site)


def _asked(options: argparse.Namespace) -> bool:
    """Say whether the changes have been shown already, with the question."""
    return not getattr(options, "yes", True) and not options.json and sys.stdin.isatty()


def _show(result: Result, configuration: Configuration, *, as_json: bool, confirmed_here: bool) -> None:
    if as_json:
        print(json.dumps(_value(result), indent=2))
    else:
        for wish in result.wishes:
            print(f"site {wish.site} ({wish.region}): {_wish(wish)}")
        if not confirmed_here:
            _show_changes(result)
        print(_summary(result, configuration))
    for problem in result.problems:
        print(f"{PROGRAM}: {problem}", file=sys.stderr)


def _show_changes(result: Result) -> None:
    for note in result.notes:
        print(f"! {note}")
    for change in result.changes:
        print(f"  {change}")


def _summary(result: Result, configuration: Configuration) -> str:
    if result.changed and result.exit_code == EXIT_DONE:
        return f"done: {configuration.server} is as wanted, the service runs"
    if result.waiting:
        return "nothing was changed; the above waits for `apply`"
    if result.problems and not all(isinstance(problem, NotPublishedError) for problem in result.problems):
        return "not done: see the error"
    return "nothing to do"


def _wish(wish: Wish) -> str:
    goals = {
        Goal.ADOPT: "follow the endpoint",
        Goal.REVERT: "back to Veeam's own endpoints",
        Goal.LEAVE: "left alone",
    }
    parts = [goals[wish.goal]]
    if wish.published is not None:
        parts.append(
            f"document version {wish.published.version}, {wish.published.document.state}, "
            f"{wish.published.document.vpc_endpoint_id}"
        )
    if wish.note is not None:
        parts.append(wish.note)
    if wish.problem is not None:
        parts.append(str(wish.problem))
    return "; ".join(parts)


def _value(result: Result) -> dict[str, object]:
    return {
        "command": result.command,
        "exit_code": result.exit_code,
        "changed": result.changed,
        "waiting": result.waiting,
        "sites": [
            {
                "site": wish.site,
                "region": wish.region,
                "goal": wish.goal,
                "document_version": None if wish.published is None else wish.published.version,
                "state": None if wish.published is None else wish.published.document.state,
                "note": wish.note,
                "error": None if wish.problem is None else str(wish.problem),
            }
            for wish in result.wishes
        ],
        "changes": [
            {"resource": change.resource, "before": change.before, "after": change.after}
            for change in result.changes
        ],
        "notes": list(result.notes),
        "error": None if not result.problems else str(result.problems[0]),
    }


def _show_status(status: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(status, indent=2))
        return
    for line in _lines(status, indent=""):
        print(line)


def _lines(value: dict[str, object], *, indent: str) -> list[str]:
    lines: list[str] = []
    for key, entry in value.items():
        if isinstance(entry, dict) and set(entry) == {"value", "from"}:
            lines.append(f"{indent}{key} = {_plain(entry['value'])}  ({entry['from']})")
        elif isinstance(entry, dict) and entry:
            lines += [f"{indent}{key}:", *_lines(entry, indent=f"{indent}  ")]
        else:
            lines.append(f"{indent}{key}: {_plain(entry)}")
    return lines


def _plain(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None or value == {} else str(value)
