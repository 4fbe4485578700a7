"""What ships, what it is made of, and where that comes from."""
