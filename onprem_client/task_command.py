"""`task install` and `task remove`: the scheduled task that calls `run` with this configuration."""

import argparse
import json
import sys
from pathlib import Path

from onprem_client.configuration import Configuration
from onprem_client.errors import EXIT_DONE
from onprem_client.windows import machine, task

VERBS = {
    "install": "register the scheduled task that calls `run` every ten minutes",
    "remove": "remove the scheduled task; what it has changed on the server stays, see `undo`",
}


def carry_out(configuration: Configuration, options: argparse.Namespace) -> int:
    """Do what was asked and say so."""
    if options.verb == "remove":
        removed = task.remove()
        _say(options, "the task is removed" if removed else "there was no task", changed=removed)
        return EXIT_DONE
    xml = task.definition(_command(configuration), account=options.account, server=configuration.server)
    if options.print:
        _say(options, xml.rstrip("\n"), changed=False)
        return EXIT_DONE
    folder = configuration.state_folder
    task.install(xml, account=options.account, state_folder=folder, ours=machine.is_ours(folder))
    _say(options, f"the task {task.NAME} is registered and runs as {options.account}", changed=True)
    return EXIT_DONE


def _command(configuration: Configuration) -> task.Command:
    arguments = f'run --config "{configuration.file}"'
    program = Path(sys.executable)
    if getattr(sys, "frozen", False):
        return task.Command(program=program, arguments=arguments, folder=program.parent)
    packages = Path(__file__).resolve().parents[1]
    return task.Command(program=program, arguments=f"-m onprem_client {arguments}", folder=packages)


def _say(options: argparse.Namespace, text: str, *, changed: bool) -> None:
    if options.json:
        value = {
            "command": f"task {options.verb}",
            "exit_code": EXIT_DONE,
            "changed": changed,
            "text": text,
        }
        print(json.dumps(value, indent=2))
    else:
        print(text)
