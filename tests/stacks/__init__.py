"""The synthesized template: what would really be deployed."""
