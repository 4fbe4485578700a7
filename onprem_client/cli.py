"""
The command line: arguments in, words and an exit code out.

stdout is for the operator, stderr for errors; an expected error has no traceback. With --json, stdout holds
one JSON object and nothing else.
"""

import argparse
import getpass
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from onprem_client import __version__, task_command
from onprem_client.adoption import Goal, Wish
from onprem_client.build import COMMIT
from onprem_client.checks.check import failing
from onprem_client.checks.network import SystemNetwork
from onprem_client.client import Client
from onprem_client.clock import SystemClock
from onprem_client.configuration import Configuration, load
from onprem_client.errors import (
    EXIT_DONE,
    CheckFailedError,
    ClientError,
    NotConfirmedError,
    NotPublishedError,
    SecretError,
    exit_codes,
)
from onprem_client.heartbeat import Heartbeat
from onprem_client.parameter_store import ParameterStores, SsmParameters
from onprem_client.result import Result
from onprem_client.secret import VBR_PASSWORD, Secret, repository_secret, secret_name, typed_secret
from onprem_client.service_point import ServicePointClient
from onprem_client.veeam.reach import reach
from onprem_client.windows import machine, task
from onprem_client.windows.files import WholeFiles
from onprem_client.windows.lock import StateFolderLock
from onprem_client.windows.log import RunLog

PROGRAM = "vbr-privatelink"

AnyClient = Client | ServicePointClient

_PATIENCE_OF_A_LOOK = 5.0
_LOOKING = ("plan", "status", "doctor")
# What may change the server leaves an entry in the log.
_LOGGED = ("run", "apply", "undo")

COMMANDS = {
    "plan": "say what `apply` would change; changes nothing",
    "apply": "make this server back up through the published endpoint",
    "run": "what the scheduled task calls: recover, then apply if auto_apply is on, else say what waits",
    "undo": "go back to before the first apply, and hold the sites until the next `apply`",
    "doctor": "look at everything that must be so for backups to go through the endpoint; changes nothing",
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
    log = None
    try:
        configuration = load(options.config)
        if options.command == "secret":
            return _set_secret(configuration, options)
        if options.command == "task":
            return task_command.carry_out(configuration, options)
        if options.command in _LOGGED:
            log = RunLog(configuration.state_folder)
        client = _client(configuration, options)
        if options.command == "doctor":
            return _doctor(client, as_json=options.json)
        if options.command == "status":
            _show_status(client.status(), as_json=options.json)
            return EXIT_DONE
        result = (
            _run(client, Heartbeat(configuration, _parameters(configuration), SystemClock(), WholeFiles()))
            if options.command == "run"
            else _result(client, options)
        )
    except ClientError as error:
        if options.json:
            value = {"command": options.command, "exit_code": error.exit_code, "error": str(error)}
            print(json.dumps(value, indent=2))
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        if log is not None:
            _record(log, options.command, error.exit_code, [error])
        return error.exit_code
    if log is not None:
        said = [*result.notes, *result.changes, *result.problems]
        _record(log, options.command, result.exit_code, said)
    _show(result, configuration, as_json=options.json, confirmed_here=_asked(options))
    return result.exit_code


def _record(log: RunLog, command: str, exit_code: int, said: Sequence[object]) -> None:
    log.record(at=SystemClock().now(), command=command, exit_code=exit_code, lines=list(map(str, said)))


def _parameters(configuration: Configuration) -> ParameterStores:
    return lambda region: SsmParameters(region, aws=configuration.aws)


def _run(client: AnyClient, heartbeat: Heartbeat) -> Result:
    """Say that this server is there, whatever became of the run; what stops that is the lesser problem."""
    try:
        result = client.run()
    except ClientError:
        heartbeat.beat()
        raise
    silent = heartbeat.beat()
    return result if result.problems else replace(result, problem=silent)


def _client(configuration: Configuration, options: argparse.Namespace) -> AnyClient:
    clock = SystemClock()
    folder, settings, vbr = configuration.state_folder, configuration.vbr, None
    secrets = machine.secrets(folder)
    take_ownership = getattr(options, "take_ownership", False)

    parameters = _parameters(configuration)
    if settings is not None:
        # Whoever only wants to look doesn't wait for a server that is being restarted.
        patience = _PATIENCE_OF_A_LOOK if options.command in _LOOKING else settings.answer_timeout
        vbr = reach(settings, secrets, clock, patience=patience)
    network = None
    if configuration.stand_in is None or configuration.aws.s3_proxy is not None:
        network = SystemNetwork(proxy=configuration.aws.s3_proxy, ca_file=configuration.aws.ca_bundle)
    if configuration.strategy == "service-point" and vbr is not None:
        return ServicePointClient(
            configuration,
            parameters,
            clock,
            files=WholeFiles(),
            lock=StateFolderLock(folder, ours=machine.is_ours(folder)),
            vbr=vbr,
            secrets=secrets,
            network=network,
            take_ownership=take_ownership,
        )
    return Client(
        configuration,
        machine.machine(state_folder=folder, stand_in=configuration.stand_in),
        parameters,
        clock,
        vbr=vbr,
        secrets=secrets,
        network=network,
        stop_running=getattr(options, "stop_running", False),
        take_ownership=take_ownership,
    )


def _doctor(client: AnyClient, *, as_json: bool) -> int:
    found = client.doctor()
    code = CheckFailedError.exit_code if failing(checked for _site, checked in found) else EXIT_DONE
    if as_json:
        shown = [
            {
                "site": site,
                "id": one.check.id,
                "ok": one.finding.ok,
                "detail": one.finding.detail,
                "title": one.check.title,
                "why": one.check.why,
                "remedy": one.check.remedy,
            }
            for site, one in found
        ]
        print(json.dumps({"command": "doctor", "exit_code": code, "checks": shown}, indent=2))
        return code
    for site, one in found:
        print(f"{f'site {site}' if site else 'server'}: {one}")
        if one.finding.ok is False:
            print(f"    should be: {one.check.title}")
            print(f"    why: {one.check.why}")
            print(f"    what to do: {one.check.remedy}")
    return code


def _parser() -> argparse.ArgumentParser:
    codes = "\n".join(f"  {code:>2}  {meaning}" for code, meaning in exit_codes())
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Lets Veeam Backup & Replication on this server back up through a private S3 endpoint.",
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__} (commit {COMMIT})")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in COMMANDS.items():
        command = commands.add_parser(
            name, help=what, description=what, epilog=parser.epilog, formatter_class=parser.formatter_class
        )
        _add_common(command)
        if name in ("apply", "undo"):
            command.add_argument(
                "--yes", action="store_true", help="don't ask before the service is restarted"
            )
            command.add_argument(
                "--stop-running",
                action="store_true",
                help="stop runs of jobs that don't end within vbr.drain_timeout; never a restore",
            )
        if name == "apply":
            command.add_argument(
                "--take-ownership",
                action="store_true",
                help="add a repository though its folder belongs to another backup server",
            )
        if name == "undo":
            command.add_argument("--site", metavar="NAME", help="only this site (default: all)")
    _add_secret(commands, parser)
    _add_task(commands, parser)
    return parser


def _add_common(command: argparse.ArgumentParser) -> None:
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


def _add_secret(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", like: argparse.ArgumentParser
) -> None:
    what = "store the password of VBR, or the secret key of a repository"
    secret = commands.add_parser("secret", help=what, description=what)
    verbs = secret.add_subparsers(dest="verb", required=True, metavar="VERB")
    setting = verbs.add_parser(
        "set",
        help=what,
        description=f"{what}: asked for without showing it, and kept so that only administrators can read it",
        epilog=like.epilog,
        formatter_class=like.formatter_class,
    )
    setting.add_argument("name", metavar="NAME", help="vbr-password, or repository- and the site's name")
    setting.add_argument(
        "--stdin", action="store_true", help="read it from standard input, one line in UTF-8"
    )
    _add_common(setting)


def _add_task(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", like: argparse.ArgumentParser
) -> None:
    what = "register or remove the scheduled task that calls `run`"
    verbs = commands.add_parser("task", help=what, description=what).add_subparsers(
        dest="verb", required=True, metavar="VERB"
    )
    for name, what in task_command.VERBS.items():
        verb = verbs.add_parser(
            name, help=what, description=what, epilog=like.epilog, formatter_class=like.formatter_class
        )
        if name == "install":
            verb.add_argument(
                "--account",
                default=task.SYSTEM,
                metavar="NAME",
                help="SYSTEM (default), or a group managed service account: DOMAIN\\NAME$",
            )
            verb.add_argument("--print", action="store_true", help="only show the task's definition")
        _add_common(verb)


def _set_secret(configuration: Configuration, options: argparse.Namespace) -> int:
    name = secret_name(options.name)
    sites = [repository_secret(site.name) for site in configuration.sites]
    if name not in (VBR_PASSWORD, *sites):
        raise SecretError(
            f"client.toml names no such site; known secrets: {', '.join((VBR_PASSWORD, *sites))}"
        )
    machine.secrets(configuration.state_folder).write(name, _asked_secret(name, from_stdin=options.stdin))
    print(
        json.dumps({"command": "secret set", "exit_code": EXIT_DONE, "name": name}, indent=2)
        if options.json
        else f"{name} is stored"
    )
    return EXIT_DONE


def _asked_secret(name: str, *, from_stdin: bool) -> Secret:
    if from_stdin:
        try:
            return typed_secret(sys.stdin.buffer.read().decode())
        except UnicodeDecodeError:
            # Without `from`: the error would carry the secret.
            raise SecretError("the secret is not in UTF-8; nothing was changed") from None
    if not sys.stdin.isatty():
        raise NotConfirmedError("there is nobody to ask: call it with --stdin; nothing was changed")
    try:
        first, second = getpass.getpass(f"{name}: "), getpass.getpass(f"{name}, once more: ")
    except (EOFError, KeyboardInterrupt):
        raise NotConfirmedError("nothing was typed; nothing was changed") from None
    if first != second:
        raise NotConfirmedError("that was not the same twice; nothing was changed")
    return typed_secret(first)


def _result(client: AnyClient, options: argparse.Namespace) -> Result:
    def confirm(result: Result) -> bool:
        if options.yes:
            return True
        # A script that calls `undo` means it; a person is asked.
        if options.command == "undo" and not sys.stdin.isatty():
            return True
        if options.json or not sys.stdin.isatty():
            raise NotConfirmedError("there is nobody to ask: call it with --yes; nothing was changed")
        _show_changes(result)
        restarted = "The service is restarted. " if result.restarts else ""
        print(f"Go on? {restarted}[y/N] ", end="", flush=True)
        try:
            return sys.stdin.readline().strip().lower() in ("y", "yes")
        except KeyboardInterrupt:
            return False

    match options.command:
        case "plan":
            return client.plan()
        case "apply":
            return client.apply(confirm)
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
        runs = ", the service runs" if configuration.strategy == "regions-file" else ""
        return f"done: {configuration.server} is as wanted{runs}"
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
