"""What each site wants of this server, as far as its document can be read and believed."""

from dataclasses import replace

from contract.documents import EndpointState
from onprem_client.adoption import Goal, Wish
from onprem_client.configuration import Site
from onprem_client.errors import ClientError
from onprem_client.parameter_store import ParameterStore
from onprem_client.site_source import fetch


def wish_of(site: Site, parameters: ParameterStore, *, held: bool, held_too: bool) -> Wish:
    """Return what *site* wants; a site held by `undo` is left alone unless *held_too*."""
    left = Wish(site=site.name, region=site.region, goal=Goal.LEAVE)
    if held and not held_too:
        return replace(left, note="held by undo; `apply` resumes")
    try:
        published = fetch(site, parameters)
    except ClientError as problem:
        return replace(left, problem=problem)
    note = "held by undo: `run` leaves it, `apply` resumes" if held else None
    match published.document.state:
        case EndpointState.ACTIVE:
            return replace(left, goal=Goal.ADOPT, published=published, note=note)
        case EndpointState.WITHDRAWN:
            return replace(left, goal=Goal.REVERT, published=published, note=note)
