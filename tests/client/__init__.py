"""Tests of the on-prem client."""
