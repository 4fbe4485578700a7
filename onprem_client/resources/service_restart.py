"""
The Veeam Backup Service, which reads the region file only when it starts.

A restart is two changes, stop and start, with the change of the file between them. Its rule: the service
and what depends on it end as they were before the first step. They are never left stopped by us, and never
started when somebody else had stopped them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from onprem_client.clock import Clock
from onprem_client.errors import ServerError, ServiceNotRunningError, ServiceTimeoutError
from onprem_client.plan import Change
from onprem_client.windows.protocols import Services, ServiceState

SERVICE = "VeeamBackupSvc"

POLL_SECONDS = 0.05
# A service that has just been told to start may still say "stopped" for a moment; after this it has failed.
_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceImage:
    """The services that ran before our first step, in the order in which they are stopped."""

    service: str
    dependents: tuple[str, ...]

    def __str__(self) -> str:
        return " and ".join((self.service, *self.dependents))


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """The two changes of a restart."""

    stop: Change
    start: Change


def read(services: Services, *, service: str = SERVICE) -> ServiceImage:
    """Remember what runs; raises ServiceNotRunningError when the service itself does not."""
    state = services.state(service)
    if state is not ServiceState.RUNNING:
        raise ServiceNotRunningError(service=service, state=state)
    running = tuple(
        name for name in services.dependents(service) if services.state(name) is not ServiceState.STOPPED
    )
    return ServiceImage(service=service, dependents=running)


def restart(
    services: Services,
    image: ServiceImage,
    *,
    clock: Clock,
    stop_timeout: float,
    start_timeout: float,
    before_stop: Callable[[], None],
    ours: bool,
) -> Restart:
    """
    Describe a restart of what *image* names.

    `before_stop` is called right before the first stop, so that the journal knows from then on that a stopped
    service is our doing. `ours` says that it knew already: we go on after a crash.
    """

    def wait(name: str, wanted: ServiceState, timeout: float) -> None:
        begin = clock.monotonic()
        while (state := services.state(name)) is not wanted:
            waited = clock.monotonic() - begin
            if wanted is ServiceState.RUNNING and state is ServiceState.STOPPED and waited > _GRACE_SECONDS:
                raise ServerError(f"{name} stopped again while it was starting; see its log")
            if waited > timeout:
                raise ServiceTimeoutError(service=name, wanted=wanted, state=state, timeout=timeout)
            clock.sleep(POLL_SECONDS)

    def ensure_stopped() -> None:
        for name in (*image.dependents, image.service):
            if services.state(name) is ServiceState.STOPPED:
                continue
            services.request_stop(name)
            wait(name, ServiceState.STOPPED, stop_timeout)

    def ensure_running() -> None:
        for name in (image.service, *reversed(image.dependents)):
            state = services.state(name)
            if state is ServiceState.STOP_PENDING:
                # It takes no other order before it has stopped.
                wait(name, ServiceState.STOPPED, stop_timeout)
                state = ServiceState.STOPPED
            if state is ServiceState.STOPPED:
                services.request_start(name)
            wait(name, ServiceState.RUNNING, start_timeout)

    touched = ours

    def stop() -> None:
        nonlocal touched
        if not touched:
            state = services.state(image.service)
            if state is not ServiceState.RUNNING:
                raise ServiceNotRunningError(service=image.service, state=state)
            before_stop()
            touched = True
        ensure_stopped()

    def undo_stop() -> None:
        if touched:
            ensure_running()

    return Restart(
        stop=Change(resource=f"service {image}", before="running", after="stopped", do=stop, undo=undo_stop),
        start=Change(
            resource=f"service {image}",
            before="stopped",
            after="running",
            do=ensure_running,
            undo=ensure_stopped,
        ),
    )
