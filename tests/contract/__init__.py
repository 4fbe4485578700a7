"""The documents and names that both sides share."""
