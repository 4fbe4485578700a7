"""The on-prem side: makes a Veeam backup server use the endpoint that the cloud side has published."""

__version__ = "0.1.0"
