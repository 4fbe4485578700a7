"""
Every error that is reported without a traceback, and the exit code of each.

    SiteCliError                  1
    ├── AwsConfigurationError     3   no credentials, no Region, or no such profile
    ├── RunFailedError            4   the run failed, was stopped or timed out
    ├── NotDeployedError          5   there is no workflow in this account and Region
    ├── NoSuchSiteError           6   the workflow has no settings for the site
    ├── CloudError                8   AWS could not be reached, or refused the call
    │   └── AccessDeniedError         ... because these credentials may not do it
    └── NotConfirmedError        14   nobody said yes; nothing was started

0 is "done", 2 is argparse's "wrong command line", 10 is "`check` has found something", 22 is "`doctor` has
found something", and 130 is "interrupted while following; the run goes on".
8, 10, 14 and 22 mean what they mean in the client on the backup server.
"""

EXIT_DONE = 0
EXIT_USAGE = 2
EXIT_DRIFT = 10
EXIT_UNFIT = 22
EXIT_INTERRUPTED = 130


class SiteCliError(Exception):
    """Base of every error that is reported without a traceback."""

    exit_code = 1
    meaning = "unexpected error"


class AwsConfigurationError(SiteCliError):
    """boto3 finds no credentials, no Region, or no such profile."""

    exit_code = 3
    meaning = "no credentials, no Region, or no such profile"


class RunFailedError(SiteCliError):
    """The run came to a bad end; the message is the workflow's own."""

    exit_code = 4
    meaning = "the run failed, was stopped or timed out"


class NotDeployedError(SiteCliError):
    """There is no workflow in this account and Region."""

    exit_code = 5
    meaning = "VBR PrivateLink is not deployed in this account and Region"

    def __init__(self, *, account_id: str, region: str) -> None:
        super().__init__(
            f"VBR PrivateLink is not deployed in account {account_id}, {region}: deploy the stack there, or "
            "name another Region with --region or another account with --profile"
        )


class NoSuchSiteError(SiteCliError):
    """The workflow has no settings for the site."""

    exit_code = 6
    meaning = "there is no such site in this account and Region"

    def __init__(self, *, site: str, region: str, known: tuple[str, ...]) -> None:
        super().__init__(
            f"there is no site {site} in {region}: add it to cdk.json and deploy, or name one of: "
            + (", ".join(known) or "(none)")
        )


class CloudError(SiteCliError):
    """AWS could not be reached or refused the call."""

    exit_code = 8
    meaning = "AWS could not be reached, or refused the call"


class AccessDeniedError(CloudError):
    """These credentials may not make the call; the message names it."""


class NotConfirmedError(SiteCliError):
    """Nobody said yes."""

    exit_code = 14
    meaning = "nobody said yes; nothing was started"


def exit_codes() -> list[tuple[int, str]]:
    """List every exit code with its meaning, for `--help`."""
    codes = {
        EXIT_DONE: "done, and nothing is wrong",
        EXIT_USAGE: "the command line is wrong",
        EXIT_DRIFT: "`check` has found something that is not as it should be",
        EXIT_UNFIT: "`doctor` has found something that has to be put right first",
        EXIT_INTERRUPTED: "interrupted while following; the run goes on",
        SiteCliError.exit_code: SiteCliError.meaning,
    }
    for error in SiteCliError.__subclasses__():
        codes[error.exit_code] = error.meaning
    return sorted(codes.items())
