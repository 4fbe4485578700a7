"""How every step speaks to AWS: one place for time-outs and retries."""

from botocore.config import Config

# Short enough that a hanging call leaves time for another within the function's own time-out.
CONFIG = Config(
    connect_timeout=5,
    read_timeout=15,
    retries={"mode": "standard", "total_max_attempts": 4},
)
