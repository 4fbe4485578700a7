"""Whole stories on a running sandbox, judged by the outside world."""
