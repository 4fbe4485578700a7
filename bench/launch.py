"""
Run a program and write what it has used, as JSON, into a file:  launch.py RESULT PROGRAM ARGUMENTS

A small process of its own: a child's peak memory starts at what its parent held when it was forked.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    started = time.perf_counter()
    done = subprocess.run(sys.argv[2:], check=False)
    wall = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "memory": used.ru_maxrss / 1024}
    Path(sys.argv[1]).write_text(json.dumps(result))
    sys.exit(done.returncode)
