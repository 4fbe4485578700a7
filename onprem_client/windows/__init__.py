"""
The only code that knows an operating system.

`protocols` says what the rest of the client needs; `registry`, `services`, `files` and `lock` are the real
things; `stand_in` replaces registry and services where the client is tried out without Windows.
"""
