"""Counting what happens, so that a scrape of any worker gives the sums of all workers of the machine.

`gateway` holds all metrics and what rooms call, `families` how they are declared, `cells` where the numbers are,
`exposition` the text of a scrape, `watch` what a worker counts of itself.
"""

from smtpeter.world.metrics.exposition import CONTENT_TYPE, exposition
from smtpeter.world.metrics.families import families, open_metrics, read_metrics
from smtpeter.world.metrics.gateway import (
    accepted,
    committed,
    connected,
    disconnected,
    login_failed,
    notified,
    outgoing_connections,
    refused,
    settled,
    store_is,
)
from smtpeter.world.metrics.watch import watch

__all__ = [
    "CONTENT_TYPE",
    "accepted",
    "committed",
    "connected",
    "disconnected",
    "exposition",
    "families",
    "login_failed",
    "notified",
    "open_metrics",
    "outgoing_connections",
    "read_metrics",
    "refused",
    "settled",
    "store_is",
    "watch",
]
