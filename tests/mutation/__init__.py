"""
Plants mistakes into the core, one at a time, and looks whether its tests notice (mutmut).

    python -m tests.mutation .mutants/bin/mutmut                 all groups: about an hour and a half
    python -m tests.mutation .mutants/bin/mutmut contract        one group

What survives is printed with the line that was changed, and the table of docs/mutation-testing.md is
written. Not a part of `make test`: it takes too long, and its result only changes with the core.
"""
