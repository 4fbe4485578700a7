"""
The REST revisions as one table: each row says what it changes in the row before.

Answers are read without case and unknown fields are skipped, so the table holds only what must be *sent* as
the revision spells it, and what a revision doesn't show.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What one revision spells, requires and shows."""

    name: str
    password_grant: str
    refresh_grant: str
    browser_resets_cache: bool
    mount_server_types: tuple[str, str] | None
    """The words for Windows and Linux in mountServerSettingsType; None: one flat mountServer."""
    mount_server_required: bool
    states_say_online: bool
    rescans: bool
    graceful: str
    session_job: str
    """How a session names its job."""
    running_states: tuple[str, ...]
    """The states of a session that is neither over nor idle, in the order in which it passes through them."""
    unseen: tuple[str, ...]
    """Work that the lists of jobs and sessions leave out."""
    blind: bool
    """They leave out too much for anybody to say that nothing runs."""


_12_0 = Revision(
    name="1.1-rev0",
    password_grant="password",  # noqa: S106 - the name of a grant, not a password
    refresh_grant="refresh_token",
    browser_resets_cache=False,
    mount_server_types=None,
    mount_server_required=True,
    states_say_online=False,
    rescans=False,
    graceful="gracefullStop",
    session_job="activityId",
    running_states=(
        "Starting",
        "WaitingRepository",
        "WaitingSlot",
        "WaitingTape",
        "Working",
        "Pausing",
        "Resuming",
        "Postprocessing",
        "Stopping",
    ),
    unseen=("agent jobs", "backup copy jobs", "tape jobs", "offload to object storage"),
    blind=True,
)
_12_1 = replace(
    _12_0,
    name="1.1-rev1",
    browser_resets_cache=True,
    states_say_online=True,
    rescans=True,
    graceful="gracefulStop",
    session_job="jobId",
)
_12_2 = replace(_12_1, name="1.1-rev2")
_12_3_0 = replace(_12_2, name="1.2-rev0")
_12_3_1 = replace(_12_3_0, name="1.2-rev1")
_13_0_0 = replace(
    _12_3_1,
    name="1.3-rev0",
    mount_server_types=("windows", "linux"),
    unseen=("tape jobs",),
    blind=False,
)
_13_0_1 = replace(
    _13_0_0,
    name="1.3-rev1",
    password_grant="Password",  # noqa: S106 - the name of a grant, not a password
    refresh_grant="Refresh_token",
    mount_server_types=("Windows", "Linux"),
)
_13_1 = replace(
    _13_0_1,
    name="1.3-rev2",
    mount_server_required=False,
    running_states=(*_13_0_1.running_states, "ActionRequired"),
)

NEWEST_FIRST = (_13_1, _13_0_1, _13_0_0, _12_3_1, _12_3_0, _12_2, _12_1, _12_0)
