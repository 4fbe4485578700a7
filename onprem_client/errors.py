"""
Every error the client reports without a traceback, and the exit code of each.

    ClientError                        1
    ├── ConfigurationError             3   client.toml is refused, or doesn't fit this machine
    ├── ApplyError                     4   a change failed; everything before it was undone
    │   └── RollbackError              5   ... and could not be undone: call a person
    ├── DocumentRefusedError           6   what was published for the site is refused; nothing was changed
    ├── RegionFileError                7   AmazonS3Regions.xml is refused; nothing was changed
    ├── CloudError                     8   AWS could not be reached, or said no
    ├── NotPublishedError              9   nothing has been published for the site yet
    ├── ServiceNotRunningError        11   somebody else stopped the service; nothing was touched
    ├── AlreadyRunningError           12   another instance of the client is at work
    ├── ServerError                   13   registry, file or service could not be read or changed
    │   ├── ServiceTimeoutError            a service did not reach a state in time
    │   └── ChangedMeanwhileError          something else changed what we were about to change
    ├── NotConfirmedError             14   nobody said yes
    ├── JournalError                  15   the client's own journal can't be read
    ├── NotOursError                  16   what should be undone was changed by somebody else and is left
    ├── SecretError                   17   a secret can't be read or stored safely
    ├── VbrError                      18   VBR's REST API could not be reached, or refused a call
    │   ├── VbrSignInError                 ... refused the user name or the password
    │   └── VbrMissingError                ... has no such object
    ├── BusyError                     19   work on the server did not end in time; nothing was changed
    ├── JobsDisabledError             20   all is done, but jobs could not be enabled again: call a person
    ├── OtherRepositoryError          21   another repository of the region would lose its bucket
    ├── CheckFailedError              22   a check failed, before the restart or after it
    ├── RepositoryError               23   the repository could not be added, or does not work
    └── ManualStepsError              24   a person has to change the repository; the message lists the steps

0 is "done, or nothing to do", 2 is argparse's "wrong command line" and 10 is "something waits to be applied".
"""

EXIT_DONE = 0
EXIT_USAGE = 2
EXIT_SOMETHING_WAITS = 10


class ClientError(Exception):
    """Base of every error the client reports without a traceback."""

    exit_code = 1
    meaning = "unexpected error"


class ConfigurationError(ClientError):
    """client.toml is refused; the message names the key and the fix."""

    exit_code = 3
    meaning = "client.toml is refused, or doesn't fit this machine"


class ApplyError(ClientError):
    """A change failed; everything before it was undone."""

    exit_code = 4
    meaning = "a change failed; everything before it was undone"


class RollbackError(ApplyError):
    """A change failed and could not be undone: call a person."""

    exit_code = 5
    meaning = "a change failed and could not be undone: look at the server; the next run tries again"


class DocumentRefusedError(ClientError):
    """What was published for the site breaks a rule; nothing was changed."""

    exit_code = 6
    meaning = "the site's document is refused; nothing was changed for it"


class RegionFileError(ClientError):
    """AmazonS3Regions.xml can't be edited safely; nothing was changed."""

    exit_code = 7
    meaning = "AmazonS3Regions.xml is refused; nothing was changed in it"


class CloudError(ClientError):
    """AWS could not be reached or refused the call."""

    exit_code = 8
    meaning = "AWS could not be reached, or refused the call"


class NotPublishedError(ClientError):
    """Nothing has been published for the site yet."""

    exit_code = 9
    meaning = "nothing has been published for the site yet (`run` says so and ends with 0)"

    def __init__(self, *, site: str, parameter: str) -> None:
        self.site = site
        super().__init__(f"site {site} has not been published yet: there is no parameter {parameter}")


class ServiceNotRunningError(ClientError):
    """The service was not running before our first step, so nothing is touched."""

    exit_code = 11
    meaning = "somebody else stopped the Veeam service; nothing was touched"

    def __init__(self, *, service: str, state: str) -> None:
        self.service = service
        self.state = state
        super().__init__(
            f"{service} is {state.replace('_', ' ')}, and that is not this program's doing: nothing is "
            "touched; once the service runs, try again"
        )


class AlreadyRunningError(ClientError):
    """Another instance of the client is at work on this server."""

    exit_code = 12
    meaning = "another instance of the client is at work"


class ServerError(ClientError):
    """The backup server's registry, files or services could not be read or changed."""

    exit_code = 13
    meaning = "the server's registry, files or services could not be read or changed"


class ServiceTimeoutError(ServerError):
    """A service did not reach the state that was asked for in time."""

    def __init__(self, *, service: str, wanted: str, state: str, timeout: float) -> None:
        self.service = service
        self.state = state
        super().__init__(f"{service} is not {wanted} but {state.replace('_', ' ')}, after {timeout:g} s")


class ChangedMeanwhileError(ServerError):
    """Something else changed what we were about to change; it is left as it is."""


class NotConfirmedError(ClientError):
    """The operator did not say yes."""

    exit_code = 14
    meaning = "not confirmed; nothing was changed"


class JournalError(ClientError):
    """The client's own journal can't be read or is not one."""

    exit_code = 15
    meaning = "the client's own journal can't be read"


class NotOursError(ClientError):
    """What should be taken back was changed by somebody else since; it is left as it is."""

    exit_code = 16
    meaning = "what should be undone was changed by somebody else since, and was left as it is"


class SecretError(ClientError):
    """A secret can't be read or stored safely; the message names the fix and never the secret."""

    exit_code = 17
    meaning = "a secret can't be read or stored safely"


class VbrError(ClientError):
    """VBR's REST API could not be reached, or refused a call; the message never holds a request's body."""

    exit_code = 18
    meaning = "VBR's REST API could not be reached, or refused a call"

    def __init__(self, message: str, *, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


class VbrSignInError(VbrError):
    """VBR refused the user name or the password; nobody tries again, or the account would be locked."""


class VbrMissingError(VbrError):
    """VBR has no such object."""


class BusyError(ClientError):
    """Work on the server did not end in time; what was begun has been taken back."""

    exit_code = 19
    meaning = "work on the server did not end in time; nothing was changed, jobs are as before"


class JobsDisabledError(ClientError):
    """The server is as wanted, but jobs that were put aside could not be enabled again."""

    exit_code = 20
    meaning = "jobs could not be enabled again: look at the server; the next run tries again"


class OtherRepositoryError(ClientError):
    """The override would lead another repository to an endpoint that doesn't serve its bucket."""

    exit_code = 21
    meaning = (
        "another repository of the region uses a bucket that the endpoint doesn't serve; nothing was changed"
    )


class CheckFailedError(ClientError):
    """A check failed; `doctor` says more."""

    exit_code = 22
    meaning = "a check failed (`doctor` lists them all); before a restart: nothing was changed"


class RepositoryError(ClientError):
    """The repository could not be added, or does not work."""

    exit_code = 23
    meaning = "the repository could not be added, or does not work"


class ManualStepsError(ClientError):
    """Only a person can do what is wanted; the message lists the steps."""

    exit_code = 24
    meaning = "a person has to change the repository; the plan lists the steps"


def exit_codes() -> list[tuple[int, str]]:
    """List every exit code with its meaning, for `--help`."""
    codes = {
        EXIT_DONE: "done, or nothing to do",
        ClientError.exit_code: ClientError.meaning,
        EXIT_USAGE: "the command line is wrong",
        EXIT_SOMETHING_WAITS: "something waits to be applied (`plan`, and `run` without auto_apply)",
    }
    waiting: list[type[ClientError]] = [ClientError]
    while waiting:
        error = waiting.pop()
        codes.setdefault(error.exit_code, error.meaning)
        waiting.extend(error.__subclasses__())
    return sorted(codes.items())
