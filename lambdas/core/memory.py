"""What the table `sites` remembers of a site between its runs."""

from lambdas.core.step import Request


class Access(Request):
    """A granted exception: who may read the backups from anywhere, until when, and why."""

    principal: str
    expires_at: str
    reason: str


class Memory(Request):
    """
    The item of a site, without its lease.

    `enforced` are the buckets that were locked, `locked` a fingerprint of how, `endpoints` every endpoint
    that servers may still use; `forced`: a release needn't wait for servers; `pending`: something waits,
    so the hourly run has work; `status` is what was last said of the site, as JSON.
    """

    intent: str | None = None
    forced: bool = False
    enforced: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    grants: tuple[Access, ...] = ()
    locked: str | None = None
    pending: bool = False
    status: str | None = None
