"""The environment of a function, read in one place, when the handler runs."""

import os
from typing import Self

from pydantic import BaseModel, ConfigDict


class FunctionSettings(BaseModel):
    """Base of each function's settings; a field's name is the variable's name in lower case."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def from_env(cls) -> Self:
        """Read the variables that the function's stack has set."""
        return cls.model_validate({name.lower(): value for name, value in os.environ.items()})
