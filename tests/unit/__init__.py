"""The steps of the workflow, one at a time, without AWS."""
