"""The story that `make demo` tells: real output of the real product, each statement checked."""
