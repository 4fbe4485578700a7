"""The scheduled task of the sandbox: when it runs the client, and that it never runs it twice at a time."""

import threading

from sandbox.aws.testing import wait_until
from sandbox.client_process import Ended
from sandbox.scheduled_task import ScheduledTask


class FakeClient:
    """Counts its runs; each lasts until it is let go."""

    def __init__(self) -> None:
        self.runs = 0
        self.at_once = 0
        self.most_at_once = 0
        self.go_on = threading.Semaphore(0)

    def __call__(self) -> Ended:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.runs += 1
        self.go_on.acquire()
        self.at_once -= 1
        return Ended(code=0, output=f"run {self.runs}")


def test_it_runs_only_when_asked_if_it_has_no_interval() -> None:
    """Who counts calls must not be surprised by a run."""
    client = FakeClient()
    with ScheduledTask(client, every=None) as task:
        assert (task.running, task.last) == (False, None)
        task.ask()
        assert task.running
        client.go_on.release()
        wait_until(lambda: not task.running, what="the run ended")

        assert client.runs == 1
        assert task.last is not None
        assert task.last.ended.output == "run 1"


def test_asking_during_a_run_lets_another_follow_it() -> None:
    """What is published while a run is under way would else wait for the next time."""
    client = FakeClient()
    with ScheduledTask(client, every=None) as task:
        task.ask()
        wait_until(lambda: client.runs == 1, what="the first run began")
        task.ask()
        task.ask()
        client.go_on.release()
        client.go_on.release()
        wait_until(lambda: not task.running, what="both runs ended")

    assert (client.runs, client.most_at_once) == (2, 1)


def test_it_runs_again_and_again_with_an_interval() -> None:
    """As a scheduled task does."""
    client = FakeClient()
    with ScheduledTask(client, every=0.01):
        for _ in range(3):
            client.go_on.release()
        wait_until(lambda: client.runs >= 3, what="three runs")
        client.go_on.release()


def test_leaving_waits_for_the_run_that_is_under_way() -> None:
    """A client that is killed half-way leaves work to the next one."""
    client = FakeClient()
    with ScheduledTask(client, every=None) as task:
        task.ask()
        wait_until(lambda: client.runs == 1, what="the run began")
        threading.Timer(0.2, client.go_on.release).start()

    assert (client.runs, client.at_once) == (1, 0)
