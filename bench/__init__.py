"""Measures the product against what people would use instead; `make bench` runs it, `make test` does not."""
