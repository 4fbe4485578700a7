"""
A stand-in Veeam Backup & Replication server on 127.0.0.1.

It has what the product touches: an install folder with a region list, a registry, two services, a REST
API over TLS, and jobs that really write to S3 through whatever endpoints the region list names. It is
written from published facts in our own words and with our own data. Where the facts are silent it takes
the stricter reading, so that a client that is careless with the real server fails here first.
"""
