"""One logger, tracer and set of metrics for a function, configured by the POWERTOOLS_ variables."""

from aws_lambda_powertools import Logger, Metrics, Tracer

logger = Logger()
tracer = Tracer()
metrics = Metrics()
