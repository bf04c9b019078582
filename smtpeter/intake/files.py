"""Files that a mail names by URL, as far as they can be judged before anything is fetched.

What nobody would get is refused at once, and so is an address that we do not connect to; what a name leads to is found out
when the file is fetched. Raises Refused.
"""

from collections.abc import Iterable

from smtpeter.content.template.tags import has_tag
from smtpeter.model.refusal import Refused
from smtpeter.world.fetch.target import Target, parse_target
from smtpeter.world.fetch.trouble import FetchTrouble, Slug
from smtpeter.world.networks import Destinations

_LOOPBACK = "127.0.0.1"


def check_files(urls: Iterable[tuple[str, str]], destinations: Destinations | None, *, is_full: bool) -> None:
    """Refuses URLs that nothing can come from; each stands behind the place that it has in the call.

    `is_full`: tags in them are filled in before they are fetched. Without `destinations` no address is judged.
    """
    for where, url in urls:
        if is_full and has_tag(url):
            continue
        try:
            target = parse_target(url, allow_high_ports=True)
            if destinations is not None and not _may_be_asked(target, destinations):
                raise FetchTrouble(Slug.FORBIDDEN)
        except FetchTrouble as trouble:
            raise Refused("invalid_request", field=where, reason=str(trouble)) from None


def _may_be_asked(target: Target, destinations: Destinations) -> bool:
    if target.is_address:
        return destinations.allows(target.host)
    if target.host == "localhost" or target.host.endswith(".localhost"):  # RFC 6761 6.3
        return destinations.allows(_LOOPBACK)
    return True
