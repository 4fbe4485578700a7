"""
The CDK stacks. `site_stack` is everything that one account needs.

They look nothing up: no AWS call, no git, no Docker, so that two machines synthesize the same template,
offline.
"""
