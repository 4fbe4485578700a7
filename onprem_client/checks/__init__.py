"""
What must be so for backups to go through the endpoint, each with why, and what to do when it isn't.

`check` is the form, `protocols` what is needed of the network, `network` and `s3` the real things; `of_site`
and `of_server` have the checks themselves.
"""
