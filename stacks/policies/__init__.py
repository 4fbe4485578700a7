"""What each function may do, one statement a function: the Sid says what, the docstring why."""
