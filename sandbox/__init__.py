"""
An embedded AWS and a stand-in VBR server on 127.0.0.1, for the demo, the tests and a user's first look.

It stands for the outside world, so it imports nothing of the product but the contract: what the product
does reaches it only as a synthesized template, as requests, and as a client's process. It is our reading
of AWS and Veeam, not the things themselves; docs/limits.md lists what it can't prove.
"""
