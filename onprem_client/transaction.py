"""
Change the server so that being killed at any moment can be put right at the next start.

The journal is written before the first step and after the last; between them stands `plan.apply`. While our
endpoint is in the region file, the registry value that keeps VBR from rewriting the file is set, at every
moment and in both directions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from contract import names
from onprem_client import plan
from onprem_client.clock import Clock
from onprem_client.errors import ApplyError, BusyError, RegionFileError, RollbackError
from onprem_client.journal import Direction, Journal, Memory, Pending
from onprem_client.plan import Change
from onprem_client.resources import region_file, registry_value, service_restart
from onprem_client.resources.region_xml import region_endpoints
from onprem_client.windows.machine import Machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Transactions:
    """Carries out what was decided, on one server."""

    machine: Machine
    clock: Clock
    stop_timeout: float
    start_timeout: float

    def changes(
        self,
        pending: Pending,
        *,
        memory: Memory,
        before_stop: Callable[[], None],
        loaded: Direction | None = None,
    ) -> list[Change]:
        """
        Put the steps in their order.

        While our endpoint is in the file, the registry value is set: so it is set first, and taken back only
        after the file was. Undone from the last to the first, the same holds on the way back. `loaded` says
        that, in this direction, the service need not be stopped any more: see `_loaded`.
        """
        restart = service_restart.restart(
            self.machine.services,
            pending.service,
            clock=self.clock,
            stop_timeout=self.stop_timeout,
            start_timeout=self.start_timeout,
            before_stop=before_stop,
            ours=pending.service_touched,
        )
        stop, start = restart.stop, restart.start
        if loaded is Direction.FORWARD:
            stop = replace(stop, do=_nothing)
        elif loaded is Direction.BACK:
            start = replace(start, undo=_nothing)
        registry, file = [], []
        if pending.registry_before != pending.registry_after:
            registry.append(
                registry_value.change(
                    self.machine.registry, before=pending.registry_before, after=pending.registry_after
                )
            )
        if pending.file_before != pending.file_after:
            regions = sorted({*memory.adopted, *pending.memory_after.adopted})
            shown = (_shown(pending.file_before, regions), _shown(pending.file_after, regions))
            file.append(
                region_file.change(
                    self.machine.files,
                    registry_value.region_file(self.machine.registry),
                    before=pending.file_before,
                    after=pending.file_after,
                    shown=shown,
                )
            )
        if pending.registry_after == registry_value.WANTED:
            return [*registry, stop, *file, start]
        return [stop, *file, *registry, start]

    def recover(self, journal: Journal) -> tuple[str, ...]:
        """
        Put right what an earlier run left behind when it was killed.

        Before the service was touched there is hardly anything to take back; after that, what was approved is
        finished, unless it was already being undone.
        """
        pending = journal.pending
        if pending is None:
            return ()
        what = f"{pending.command} of {pending.since} had been interrupted"
        back = pending.direction is Direction.BACK or not pending.service_touched
        changes = self.changes(
            pending,
            memory=journal.memory,
            before_stop=_nothing,
            loaded=self._loaded(pending, Direction.BACK if back else Direction.FORWARD),
        )
        if back:
            plan.roll_back(changes, why=what)
            self._abandon(journal)
            return (f"{what}; it has been taken back",)
        try:
            plan.apply(changes, on_failure=journal.turn_back)
        except RollbackError:
            raise
        except ApplyError as error:
            self._abandon(journal)
            return (f"{what}; it could not be finished and has been taken back ({error})",)
        journal.commit(pending.memory_after)
        return (f"{what}; it has been finished",)

    def _loaded(self, pending: Pending, direction: Direction) -> Direction | None:
        """
        Return *direction* when the service, if it runs, must have read the right file already.

        The file only changes while the service is stopped. So where the file is right, a running service has
        started since, and a stopped one needs no more than a start.
        """
        if not pending.service_touched:
            return direction
        if pending.file_before == pending.file_after:
            return None  # Only the registry value changed: nothing tells whether the service has read it.
        file, registry = (
            (pending.file_before, pending.registry_before)
            if direction is Direction.BACK
            else (pending.file_after, pending.registry_after)
        )
        right = (
            self.machine.files.read(registry_value.region_file(self.machine.registry)) == file
            and registry_value.read(self.machine.registry) == registry
        )
        return direction if right else None

    def carry_out(
        self,
        journal: Journal,
        pending: Pending,
        changes: Sequence[Change],
        afterwards: Sequence[Change] = (),
    ) -> None:
        """
        Make *changes*, with the journal around them; when one fails, everything is as before.

        *afterwards* comes when all that is done and stays done, whatever becomes of it.
        """
        journal.begin(pending)
        try:
            plan.apply(changes, on_failure=journal.turn_back)
        except RollbackError:
            raise  # The journal stays: the next start tries again to go back.
        except (ApplyError, BusyError):
            self._abandon(journal)
            raise
        journal.commit(pending.memory_after)
        plan.apply(afterwards, on_failure=_nothing)

    def _abandon(self, journal: Journal) -> None:
        self.machine.files.discard(registry_value.region_file(self.machine.registry))
        journal.abandon()


def _shown(file: bytes, regions: Sequence[names.Region]) -> str:
    parts = []
    for region in regions:
        try:
            parts.append(f"{region} {', '.join(region_endpoints(file, region=region))}")
        except RegionFileError as error:
            parts.append(str(error))
    return "; ".join(parts)


def _nothing() -> None:
    """Do nothing."""
