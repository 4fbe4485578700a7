"""Compare policy documents as IAM does."""

import json
from typing import Any


def canonical(value: Any) -> str:
    """
    Return a text that is equal for documents that mean the same.

    Order doesn't matter in them, and a list of one equals its only item; AWS gives them back as it likes.
    """
    match value:
        case dict():
            return json.dumps({key: canonical(item) for key, item in value.items()}, sort_keys=True)
        case list():
            items = sorted(canonical(item) for item in value)
            return items[0] if len(items) == 1 else json.dumps(items)
        case _:
            return json.dumps(value)
