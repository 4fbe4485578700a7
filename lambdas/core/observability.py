"""
One logger and one set of metrics for a function, configured by the POWERTOOLS_ variables.

No tracer: Lambda and Step Functions trace every run by themselves, and X-Ray's own SDK would be a third of a
cold start.
"""

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger()
metrics = Metrics()


def count_of_site(site: str, **counts: int) -> None:
    """Count something of one site, in a metric of its own: an alarm must say which site it is about."""
    for name, value in counts.items():
        with single_metric(
            name=name,
            unit=MetricUnit.Count,
            value=value,
            namespace=metrics.namespace,
            default_dimensions={"Site": site},
        ):
            pass
