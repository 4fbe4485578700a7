"""The command `vbr-privatelink-site`: the cloud side of VBR PrivateLink, from a terminal."""

__version__ = "0.1.0"
