"""The three buttons of a site, each with a confirmation that says what will happen: here and in the fleet."""

from collections.abc import Mapping
from typing import Literal

from lambdas.core.markup import Markup, element, parameters
from lambdas.core.site_overview import Level, SiteRow

Request = Literal["provision", "check", "release"]

_PROVISION = (
    "Provision site {site}? Its bucket and endpoint are made or repaired, a bucket that nobody relies on yet "
    "is locked to the endpoint, and the backup servers are told to use it. {again}Nothing is deleted."
)
_AGAIN = "The site was released: this takes it into use again. "
_CHECK = "Check site {site} for changes made by hand? Nothing is changed: what differs is told, not repaired."
_RELEASE = (
    "Release site {site}? In this order: the lock is taken off its buckets; the backup servers are told to "
    "go back to Veeam's own endpoints; when every one has reported, the endpoint and its security group are "
    "deleted. Buckets and backups stay, and so do your own policy statements. Until the site is provisioned "
    "again, backups go over the public endpoints."
)


def buttons(row: SiteRow, *, wanted: bool, function: str, about: Mapping[str, str]) -> Markup:
    """
    Draw the buttons of a site; *wanted*: it should be provisioned.

    They call *function*, as the viewer, with *about* and the request.
    """
    where = f" in {row.account_id}, {row.region}" if row.account_id else ""
    site = f"{row.site}{where}"
    offers: list[tuple[Request, str, str]] = [
        ("provision", "Provision", _PROVISION.format(site=site, again="" if wanted else _AGAIN)),
        ("check", "Check for drift", _CHECK.format(site=site)),
        ("release", "Release", _RELEASE.format(site=site)),
    ]
    first = "provision" if not wanted or row.level is Level.WRONG else None
    return element(
        "div",
        *(
            part
            for request, label, confirmation in offers
            for part in (
                element(
                    "button",
                    label,
                    type="button",
                    class_="btn first" if request == first else "btn",
                    aria_label=f"{label}: site {site}",
                ),
                element(
                    "cwdb-action",
                    parameters({"request": request, **about}),
                    action="call",
                    display="popup",
                    confirmation=confirmation,
                    endpoint=function,
                ),
            )
        ),
        class_="actions",
    )
