"""
What is written from the code, and committed: `python -m generate` writes it, `--check` says what is old.

Nothing here ships: editors, the documentation and people read the results.
"""
