"""
The command line: arguments in, words and an exit code out.

stdout is for the operator, stderr for errors; nobody's mistake has a traceback. With --json, stdout holds
one JSON object and nothing else.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal, InvalidOperation
from typing import Any

from contract import names
from contract.errors import ContractError
from contract.settings import SiteSettings
from site_cli import __version__, cost, display, doctor, network
from site_cli.account import Account, aws_errors, sign_in
from site_cli.errors import (
    EXIT_DONE,
    EXIT_DRIFT,
    EXIT_INTERRUPTED,
    EXIT_UNFIT,
    EXIT_USAGE,
    NotConfirmedError,
    SiteCliError,
    exit_codes,
)
from site_cli.execution import Outcome, follow, start
from site_cli.sites import Site, all_sites, one_site, require

PROGRAM = "vbr-privatelink-site"

COMMANDS = {
    "list": "list the sites of this account and Region",
    "show": "show one site: settings, endpoint, what its backup servers have reported",
    "provision": "make the site what its settings say, and follow the run",
    "check": "look whether the site is as it should be; changes nothing",
    "release": "unlock the buckets, tell the servers to go back, then delete the endpoint; asks first",
    "watch": "follow the run that is at work on the site, whoever has started it",
    "cost": "estimate what a site costs in a month",
    "doctor": "look at what has to be so before a site can be provisioned; changes nothing",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = parser().parse_args(arguments)
    try:
        with aws_errors():
            return _run(options)
    except SiteCliError as error:
        if options.json:
            _print_json({"command": options.command, "exit_code": error.exit_code, "error": str(error)})
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"\n{PROGRAM}: interrupted; a run that was started goes on", file=sys.stderr)
        return EXIT_INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    if options.command == "cost" and options.site is None:
        return _cost_of_a_plan(options)
    account = sign_in(profile=options.profile, region=options.region)
    match options.command:
        case "list":
            return _list(account, options)
        case "show":
            return _show(account, options)
        case "cost":
            return _cost_of_a_site(account, options)
        case "doctor":
            return _doctor(account, options)
        case "watch":
            return _watch(account, options)
        case _:
            return _request(account, options)


def parser() -> argparse.ArgumentParser:
    """Describe the command line; the exit codes are a part of it."""
    codes = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in exit_codes())
    top = argparse.ArgumentParser(
        prog=PROGRAM,
        description="The cloud side of VBR PrivateLink: sites of one AWS account and Region.",
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in COMMANDS.items():
        command = commands.add_parser(
            name, help=what, description=what, epilog=top.epilog, formatter_class=top.formatter_class
        )
        if name != "list":
            optional = name in ("cost", "doctor", "watch")
            command.add_argument("site", metavar="SITE", type=_site_name, nargs="?" if optional else None)
        if name in ("provision", "check", "release"):
            command.add_argument("--no-wait", action="store_true", help="start the run and don't follow it")
        command.add_argument("--profile", metavar="NAME", help="profile of the AWS configuration")
        command.add_argument("--region", metavar="REGION", help="such as ap-northeast-1")
        command.add_argument("--json", action="store_true", help="print one JSON object")
        match name:
            case "release":
                command.add_argument("--yes", action="store_true", help="don't ask for the site's name")
                command.add_argument(
                    "--force",
                    action="store_true",
                    help="go on although servers have not reported that they went back",
                )
            case "watch":
                command.add_argument("--execution", metavar="ARN", help="follow this execution")
            case "cost":
                command.add_argument("--zones", type=_whole, metavar="N", help="Availability Zones")
                command.add_argument("--gb", type=_amount, metavar="N", help="GB a month, in both directions")
                command.add_argument(
                    "--price", type=_amount, metavar="USD", help="an endpoint's hour in one zone"
                )
    return top


def _site_name(text: str) -> names.SiteName:
    try:
        return names.site_name(text)
    except ContractError as error:
        raise argparse.ArgumentTypeError(error.problem) from error


def _whole(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 6:
        raise argparse.ArgumentTypeError(f"{names.shown(text)} is not a whole number from 1 to 6")
    return int(text)


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise argparse.ArgumentTypeError(f"{names.shown(text)} is not an amount such as 0.014")
    return amount


def _list(account: Account, options: argparse.Namespace) -> int:
    sites = all_sites(account)
    if options.json:
        _print_json({"command": "list", "exit_code": EXIT_DONE, "sites": [_value(site) for site in sites]})
        return EXIT_DONE
    rows = [
        [
            site.name,
            site.state,
            site.document.vpc_endpoint_id if site.document else "-",
            ", ".join(f"{name} {report.outcome}" for name, report in sorted(site.reports.items())) or "-",
        ]
        for site in sites
    ]
    display.table(("SITE", "STATE", "ENDPOINT", "SERVERS"), rows)
    return EXIT_DONE


def _show(account: Account, options: argparse.Namespace) -> int:
    site = one_site(account, options.site)
    if options.json:
        _print_json({"command": "show", "exit_code": EXIT_DONE, **_value(site)})
        return EXIT_DONE
    print(f"site {site.name}, account {account.account_id}, {account.region}")
    for label, value in _facts(site):
        print(f"  {label:<12}{value}")
    for name, report in sorted(site.reports.items()):
        bad = [check.id for check in report.checks if not check.ok]
        failed = f"; failed checks: {', '.join(bad)}" if bad else ""
        print(
            f"  server      {name}: {report.outcome} at {report.at}, client {report.client_version}{failed}"
        )
        if report.error:
            print(f"              {report.error}")
    for name, seen in sorted(site.seen.items()):
        print(f"  last seen   {name}: {seen}")
    for problem in site.problems:
        print(f"  unreadable  {problem}")
    return EXIT_DONE


def _facts(site: Site) -> list[tuple[str, str]]:
    status = site.status or {}
    facts = [("should be", site.intent or "provisioned"), ("is", site.state)]
    if site.execution:
        facts.append(("run", site.execution))
    facts += [(key.replace("_", " "), str(status[key])) for key in ("why", "error") if status.get(key)]
    if status.get("waits_for"):
        facts.append(("waits for", ", ".join(status["waits_for"])))
    if site.document:
        document = site.document
        facts += [
            ("endpoint", f"{document.vpc_endpoint_id} ({document.state})"),
            ("host", document.endpoint_host),
            ("addresses", ", ".join(document.endpoint_addresses)),
            ("published", f"{document.published_at} by {document.execution}"),
        ]
        locked = status.get("enforced", ())
        facts += [
            ("bucket", f"{bucket.name}, {'locked' if bucket.name in locked else 'not locked'}")
            for bucket in document.buckets
        ]
    facts += [("left as is", text) for text in status.get("left", ())]
    facts += [
        ("let in", f"{grant['principal']} until {grant['expires_at']}: {grant['reason']}")
        for grant in status.get("grants", ())
    ]
    return facts


def _request(account: Account, options: argparse.Namespace) -> int:
    require(account, options.site)
    request: dict[str, object] = {"site": options.site}
    match options.command:
        case "provision":
            request["intent"] = "provisioned"
        case "check":
            request["purpose"] = "check"
        case _:
            confirm_release(options)
            request |= {"intent": "released", "force": options.force}
    execution = start(account, request)
    if options.no_wait:
        _show_start(account, execution, options)
        return EXIT_DONE
    return _follow(account, execution, options)


def confirm_release(options: argparse.Namespace) -> None:
    """Let a person type the site's name; raises NotConfirmedError."""
    if options.yes:
        return
    if options.json or not sys.stdin.isatty():
        raise NotConfirmedError("there is nobody to ask: call it with --yes; nothing was started")
    print(f"Releasing {options.site} takes the lock off its buckets and tells its backup servers to go back")
    print("to Veeam's own endpoints. After the last has gone back, the endpoint is deleted. Backups stay.")
    print("Type the site's name to go on: ", end="", flush=True)
    if sys.stdin.readline().strip() != options.site:
        raise NotConfirmedError("that is not the site's name; nothing was started")


def _watch(account: Account, options: argparse.Namespace) -> int:
    if options.execution is not None:
        return _follow(account, options.execution, options)
    if options.site is None:
        print(f"{PROGRAM}: name a site, or an execution with --execution", file=sys.stderr)
        return EXIT_USAGE
    site = one_site(account, options.site)
    if site.execution is None:
        if options.json:
            _print_json({"command": "watch", "exit_code": EXIT_DONE, **_value(site)})
        else:
            print(f"no run is at work on {site.name}; it is: {site.state}")
        return EXIT_DONE
    return _follow(account, site.execution, options)


def _show_start(account: Account, execution: str, options: argparse.Namespace) -> None:
    if options.json:
        _print_json({"command": options.command, "exit_code": EXIT_DONE, "execution": execution})
    else:
        print(f"started {execution}")
        print(f"  {account.console_url(execution)}")
        print(f"  {PROGRAM} watch --execution {execution}")


def _follow(account: Account, execution: str, options: argparse.Namespace) -> int:
    if not options.json and getattr(options, "execution", None) is None:
        print(f"run {execution}", flush=True)
    with display.watching(as_json=options.json) as watcher:
        outcome = follow(account, execution, watcher)
    code = EXIT_DRIFT if options.command == "check" and outcome.drift else EXIT_DONE
    if options.json:
        _print_json({"command": options.command, "exit_code": code, **asdict(outcome)})
    else:
        _show_outcome(outcome, checked=options.command == "check")
    return code


def _show_outcome(outcome: Outcome, *, checked: bool) -> None:
    for line in outcome.changed:
        print(f"  {line}")
    if not outcome.changed and not checked:
        print("  nothing had to be changed")
    if checked:
        for line in outcome.drift:
            print(f"  {line}")
    print(f"the site is: {outcome.state}")
    if outcome.waits_for:
        print(f"it waits for: {', '.join(outcome.waits_for)}")
    if outcome.why:
        print(f"because: {outcome.why}")


def _cost_of_a_plan(options: argparse.Namespace) -> int:
    """Estimate without an account, before anything is there."""
    if options.region is None or options.zones is None:
        print(f"{PROGRAM}: name a site, or --region and --zones for one to come", file=sys.stderr)
        return EXIT_USAGE
    try:
        region = names.region(options.region)
    except ContractError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return EXIT_USAGE
    return _show_cost(names.partition(region), region, options.zones, options)


def _cost_of_a_site(account: Account, options: argparse.Namespace) -> int:
    site = one_site(account, options.site)
    zones = options.zones
    if zones is None and site.document is not None:
        zones = network.endpoint_zones(account, site.document.vpc_endpoint_id)
    if zones is None and site.settings is not None:
        zones = _planned_zones(account, site.name, site.settings)
    if not zones:
        raise SiteCliError(
            f"the subnets of {site.name} can't be found: `{PROGRAM} doctor {site.name}` says why; or say the "
            "number of Availability Zones with --zones"
        )
    return _show_cost(account.partition, account.region, zones, options)


def _planned_zones(account: Account, site: names.SiteName, settings: SiteSettings) -> int | None:
    found = network.vpcs(account, site=site, named=settings.vpc_id)
    if len(found) != 1:
        return None
    return len(network.subnets(account, site=site, vpc_id=found[0], named=settings.subnet_ids))


def _show_cost(partition: str, region: str, zones: int, options: argparse.Namespace) -> int:
    lines = cost.estimate(
        cost.Prices.read(),
        partition=partition,
        region=region,
        zones=zones,
        gigabytes=options.gb,
        hour=options.price,
    )
    total = cost.total(lines)
    if options.json:
        shown = [{"what": line.what, "usd_a_month": _number(line.amount), "how": line.how} for line in lines]
        _print_json(
            {
                "command": "cost",
                "exit_code": EXIT_DONE,
                "region": region,
                "lines": shown,
                "usd_a_month": _number(total),
            }
        )
        return EXIT_DONE
    rows = [[line.what, _dollars(line.amount), line.how] for line in lines]
    rows.append(["together", _dollars(total), "a month, without storage, requests and Direct Connect"])
    display.table(("WHAT", "USD", "HOW"), rows)
    return EXIT_DONE


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else round(float(amount), 2)


def _dollars(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:.2f}"


def _doctor(account: Account, options: argparse.Namespace) -> int:
    found = []
    for one in doctor.examine(account, only=options.site):
        found.append(one)
        if not options.json:
            display.finding(ok=one.ok, about=one.about, detail=one.detail, remedy=one.remedy)
    code = EXIT_UNFIT if any(one.ok is False for one in found) else EXIT_DONE
    if options.json:
        _print_json({"command": "doctor", "exit_code": code, "findings": [asdict(one) for one in found]})
    return code


def _value(site: Site) -> dict[str, Any]:
    return {
        "site": site.name,
        "state": site.state,
        "intent": site.intent,
        "status": site.status,
        "execution": site.execution,
        "settings": asdict(site.settings) if site.settings else None,
        "document": asdict(site.document) if site.document else None,
        "reports": {name: asdict(report) for name, report in site.reports.items()},
        "seen": site.seen,
        "problems": site.problems,
    }


def _print_json(value: Mapping[str, Any]) -> None:
    print(json.dumps(value, indent=2))
