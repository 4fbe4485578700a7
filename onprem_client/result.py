"""What a command found and did, for the operator and for `--json`."""

from collections.abc import Callable
from dataclasses import dataclass

from onprem_client.adoption import Wish
from onprem_client.errors import EXIT_DONE, EXIT_SOMETHING_WAITS, ClientError, NotPublishedError
from onprem_client.plan import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One command's outcome."""

    command: str
    wishes: tuple[Wish, ...]
    changes: tuple[Change, ...] = ()
    changed: bool = False
    waiting: bool = False
    restarts: bool = False
    notes: tuple[str, ...] = ()
    problem: ClientError | None = None

    @property
    def problems(self) -> tuple[ClientError, ...]:
        """Return what went wrong, the most important first."""
        own = () if self.problem is None else (self.problem,)
        return (*own, *(wish.problem for wish in self.wishes if wish.problem is not None))

    @property
    def exit_code(self) -> int:
        """Return the first problem's code; a site that isn't published yet is none for `run`."""
        for problem in self.problems:
            if not (self.command == "run" and isinstance(problem, NotPublishedError)):
                return problem.exit_code
        return EXIT_SOMETHING_WAITS if self.waiting else EXIT_DONE


Confirm = Callable[[Result], bool]

NOT_BY_ITSELF = "auto_apply is off: nothing was changed; `apply` does it"
