"""
The other repositories of a region: the override moves them, too.

An interface endpoint lets only certain buckets through. A repository on any other bucket of the region would
lose it at the restart, so it is found and named before.
"""

from collections.abc import Collection, Iterable

from onprem_client.veeam.protocols import Repository


def strangers(
    repositories: Iterable[Repository], *, region: str, known: Collection[str]
) -> tuple[Repository, ...]:
    """
    Return the repositories that follow the region file, lie in *region* and use no bucket of *known*.

    What doesn't say where it lies is a stranger, too.
    """
    return tuple(
        each
        for each in repositories
        if each.follows_region_file
        and (each.region is None or each.region.lower() == region.lower())
        and each.bucket not in known
    )
