"""
VBR's REST API.

`protocols` says what the rest of the client needs; `revisions` is what each revision spells and shows;
`connection` sends one request over checked TLS; `rest` signs in and tries again; `server` has the calls.
"""
