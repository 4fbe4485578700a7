"""The client on a real Windows Python; `make test-windows` runs these tests on Linux."""
