"""
The steps of the `reconcile` workflow, one folder each, and what they share in core/.

In each folder: handler.py parses, calls one function and serializes; logic.py decides and knows no
boto3; <service>_<thing>.py holds the only boto3 calls of that step.
"""
