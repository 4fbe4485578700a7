"""What is said of a site: in the table, in the execution's output and as an event when it changes."""

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lambdas.core.memory import Access


class SiteStatus(BaseModel):
    """
    How a site was when its last run ended.

    `let_in` are the endpoints that the bucket policy lets in, the current one first; `left` is drift that
    the product must not repair; `servers` are those that are expected or have left a word, `moved` those
    that have done what the published document asks for; `pending_since` is the start of the first run that
    found the site waiting for servers, and a failed run in between doesn't change it.
    """

    # An event or an item of another version of the product may say more.
    model_config = ConfigDict(extra="ignore", frozen=True)

    state: Literal["enforced", "enforcement pending", "released", "release pending", "failed"]
    intent: str
    enforced: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    pending_since: str | None = None
    servers: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()
    why: str | None = None
    let_in: tuple[str, ...] = ()
    grants: tuple[Access, ...] = ()
    left: tuple[str, ...] = ()
    error: str | None = None

    def to_json(self) -> str:
        """Return the text that is stored and compared."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    @classmethod
    def read(cls, text: str | None) -> "SiteStatus | None":
        """Read what is stored; None when there is nothing, or when another version has written it."""
        if text is None:
            return None
        try:
            return cls.model_validate_json(text)
        except ValidationError:
            return None
