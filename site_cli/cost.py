"""
What a site costs in a month.

Prices are a dated table (prices.json), each with its source: what is not in it is unknown, and stays so
until somebody says it with --price. An estimate is not a bill.
"""

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

# As AWS's own calculators count.
HOURS_A_MONTH = 730

# What a site's stack has, with one site in it; a test counts the same in the template and in the functions.
# CloudWatch bills an alarm for each metric that it looks at.
ALARM_METRICS_OF_A_STACK = 4
ALARM_METRICS_OF_A_SITE = 3
CUSTOM_METRICS_OF_A_STACK = 13
CUSTOM_METRICS_OF_A_SITE = 3
DASHBOARDS_OF_A_STACK = 1
# Four for each hourly look at what is pending, and some twenty for each daily run.
TRANSITIONS_A_MONTH = 3500
# Far more than the hourly calls write: a few lines of JSON each.
LOG_GB_A_MONTH = Decimal("0.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """One price in US dollars, where it was read and when."""

    amount: Decimal
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of an estimate; `amount` in US dollars a month, None is unknown."""

    what: str
    amount: Decimal | None
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """The table."""

    endpoint_hour: dict[str, Price]
    data_tiers: tuple[tuple[Decimal, Decimal], ...]
    data_partition: str
    data_source: str
    beside: dict[str, Price]
    beside_partition: str

    @classmethod
    def read(cls, file: Path | None = None) -> "Prices":
        """Read prices.json."""
        file = file or Path(__file__).with_name("prices.json")
        table: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
        data = table["data_processed_gb"]
        beside: dict[str, Any] = table["beside_the_endpoint"]
        partition = beside.pop("partition")
        return cls(
            endpoint_hour={region: _price(price) for region, price in table["endpoint_az_hour"].items()},
            data_tiers=tuple(
                (Decimal(tier["up_to_gb"] or "Infinity"), tier["usd"]) for tier in data["tiers"]
            ),
            data_partition=data["partition"],
            data_source=f"{data['source']}, {data['read']}",
            beside={name: _price(price) for name, price in beside.items()},
            beside_partition=partition,
        )


def _price(row: dict[str, Any]) -> Price:
    return Price(amount=row["usd"], source=f"{row['source']}, {row['read']}")


def estimate(
    prices: Prices,
    *,
    partition: str,
    region: str,
    zones: int,
    gigabytes: Decimal | None,
    hour: Decimal | None = None,
) -> list[Line]:
    """
    Estimate a month of one site with an endpoint in *zones* Availability Zones.

    *gigabytes* go through the endpoint in a month, in both directions; None leaves that line open.
    *hour* is the price of an endpoint's hour in one zone, in place of the table's. The site is counted as
    the only one of its account and Region, and nothing is taken off for AWS's free tier.
    """
    known = prices.endpoint_hour.get(region)
    rate = hour if hour is not None else (known.amount if known else None)
    source = "as you said" if hour is not None else (known.source if known else "not in the table: --price")
    return [
        Line(
            what="interface endpoint",
            amount=None if rate is None else rate * HOURS_A_MONTH * zones,
            how=f"{zones} Availability Zones x {HOURS_A_MONTH} hours x {_rate(rate)} ({source})",
        ),
        _data(prices, partition, gigabytes),
        *_beside(prices, partition),
    ]


def total(lines: list[Line]) -> Decimal | None:
    """Add up, or None when a line is unknown."""
    amounts = [line.amount for line in lines]
    return None if None in amounts else sum((amount for amount in amounts if amount is not None), Decimal(0))


def _rate(rate: Decimal | None) -> str:
    return "unknown" if rate is None else f"${rate}"


def _data(prices: Prices, partition: str, gigabytes: Decimal | None) -> Line:
    what = "data through the endpoint"
    if partition != prices.data_partition:
        return Line(what=what, amount=None, how=f"the price in partition {partition} is not in the table")
    first = prices.data_tiers[0][1]
    if gigabytes is None:
        return Line(what=what, amount=None, how=f"${first} for each GB: say how many with --gb")
    amount, below = Decimal(0), Decimal(0)
    for up_to, rate in prices.data_tiers:
        amount += max(Decimal(0), min(gigabytes, up_to) - below) * rate
        below = up_to
    return Line(
        what=what, amount=amount, how=f"{gigabytes} GB, the first PB at ${first} ({prices.data_source})"
    )


def _beside(prices: Prices, partition: str) -> list[Line]:
    """What the stack costs beside its endpoint."""
    alarms = ALARM_METRICS_OF_A_STACK + ALARM_METRICS_OF_A_SITE
    metrics = CUSTOM_METRICS_OF_A_STACK + CUSTOM_METRICS_OF_A_SITE
    counted = [
        ("alarms", "alarm_metric_month", Decimal(alarms), "metrics in alarms"),
        ("custom metrics", "custom_metric_month", Decimal(metrics), "metrics, at most"),
        ("dashboard", "dashboard_month", Decimal(DASHBOARDS_OF_A_STACK), "dashboard"),
        ("workflow", "state_transition", Decimal(TRANSITIONS_A_MONTH), "state transitions"),
        ("logs", "log_gb", LOG_GB_A_MONTH, "GB, at most"),
    ]
    free = Line(
        what="functions, table, parameters",
        amount=Decimal(0),
        how="short functions, a table without capacity of its own, standard parameters: below a cent or two",
    )
    if partition != prices.beside_partition:
        unknown = f"the price in partition {partition} is not in the table"
        return [*(Line(what=what, amount=None, how=unknown) for what, *_ in counted), free]
    return [
        *(
            Line(
                what=what,
                amount=prices.beside[key].amount * count,
                how=f"{count} {of} x ${prices.beside[key].amount} ({prices.beside[key].source})",
            )
            for what, key, count, of in counted
        ),
        free,
    ]
