"""
The outside world on 127.0.0.1: an embedded AWS and a stand-in VBR server.

Made for the demo, the tests and a user's first look. It stands for other people's systems, so it imports nothing of the product
but `contract`.
"""
