"""An embedded AWS (see `embedded.py`)."""

from sandbox.aws.embedded import EmbeddedAws as EmbeddedAws
from sandbox.aws.embedded import EmbeddedAwsOptions as EmbeddedAwsOptions
