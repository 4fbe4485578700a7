"""How every step speaks to AWS: one place for time-outs and retries."""

from botocore.config import Config

# All attempts together are shorter than a function's own time-out: what hangs is told in words.
CONFIG = Config(
    connect_timeout=3,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 4},
)
