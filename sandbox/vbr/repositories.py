"""The backup repositories of the server: those added through REST, and the local one it is installed with."""

import threading
import uuid
from dataclasses import dataclass, field

from sandbox.vbr.object_storage import Folder
from sandbox.vbr.shapes import Json


@dataclass(slots=True, kw_only=True)
class Repository:
    """One repository: what REST was given, and the folder it comes down to."""

    settings: Json
    folder: Folder | None
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    online: bool = True

    @property
    def name(self) -> str:
        return str(self.settings["name"])

    @property
    def type(self) -> str:
        return str(self.settings["type"])

    @property
    def description(self) -> str:
        return str(self.settings.get("description", ""))


class Repositories:
    """Every repository, in the order in which they were added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[Repository] = []

    def add(self, repository: Repository) -> bool:
        """Add *repository*; return False when its name is taken."""
        with self._lock:
            if any(each.name.lower() == repository.name.lower() for each in self._all):
                return False
            self._all.append(repository)
            return True

    def all(self) -> list[Repository]:
        with self._lock:
            return list(self._all)

    def find(self, repository_id: str) -> Repository | None:
        return next((each for each in self.all() if each.id == repository_id.lower()), None)

    def named(self, name: str) -> Repository | None:
        return next((each for each in self.all() if each.name.lower() == name.lower()), None)
