"""The same work as one run of the workflow, as people write it without the product."""
