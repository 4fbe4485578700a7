"""
What the cloud and the on-prem client must agree on: documents, names and parameter names.

The only code that both sides run, so it needs nothing but the standard library. The cloud ships on
each merge while a client may be a year old: documents are versioned, an unknown version is refused,
and the golden documents in tests/contract/golden are only ever added to.
"""
