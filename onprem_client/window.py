"""
The maintenance window: when an unattended run may restart the service.

Local time of this server, on every day; a window such as 22:00-04:00 goes over midnight.
"""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta

_FORM = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From `start`, up to but not including `end`."""

    start: time
    end: time

    def is_open(self, now: datetime) -> bool:
        """Say whether *now* is inside."""
        at = now.time()
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end

    def opens(self, now: datetime) -> datetime:
        """Return when it opens next; *now* is outside."""
        today = datetime.combine(now.date(), self.start)
        return today if today > now else today + timedelta(days=1)

    def closes(self, now: datetime) -> datetime:
        """Return when it closes; *now* is inside."""
        today = datetime.combine(now.date(), self.end)
        return today if today > now else today + timedelta(days=1)

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"


def window(text: str) -> Window | None:
    """Read `HH:MM-HH:MM`; None when it isn't that, or when start and end are the same."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    hours = [int(group) for group in match.groups()]
    start, end = time(hours[0], hours[1]), time(hours[2], hours[3])
    return None if start == end else Window(start=start, end=end)
