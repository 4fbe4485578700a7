"""
One logger and one set of metrics for a function, configured by the POWERTOOLS_ variables.

No tracer: Lambda and Step Functions trace every run by themselves, and X-Ray's own SDK would be a third of a
cold start.
"""

from aws_lambda_powertools import Logger, Metrics

logger = Logger()
metrics = Metrics()
