"""What one of several workers holds of a lane's limits.

Workers do not ask each other before each message: each takes its share in whole numbers, and the shares of all live
workers together are the limits. A limit that is smaller than the number of workers is held by few of them; which, is
told by the name of the lane, so that small lanes are spread over the workers.

While a worker comes or goes, workers may for a heartbeat divide by different numbers and hold a little more together.
"""

from dataclasses import replace
from zlib import crc32

from smtpeter.model.steering import Limits


def share(limits: Limits, lane: str, rank: int, count: int) -> Limits:
    """Gives the share of the worker number `rank` (from 0) of `count`. Who takes no part gets 0 connections, and no pace.

    All workers must number themselves in the same order, as by their ids.
    """
    paces = [pace for pace in (limits.per_second, limits.per_minute, limits.per_hour) if pace]
    parts = min([count, *paces])
    if limits.connections is not None:
        parts = min(parts, limits.connections)
    place = (rank - crc32(lane.encode())) % count
    if place >= parts:
        return replace(limits, connections=0, per_second=None, per_minute=None, per_hour=None)
    return replace(
        limits,
        connections=_part(limits.connections, place, parts),
        per_second=_part(limits.per_second, place, parts),
        per_minute=_part(limits.per_minute, place, parts),
        per_hour=_part(limits.per_hour, place, parts),
    )


def _part(limit: int | None, place: int, parts: int) -> int | None:
    """Gives a part in whole numbers; the remainder goes to the first. None and 0 (no limit) stay."""
    if limit is None:
        return None
    part, rest = divmod(limit, parts)
    return part + (place < rest)
