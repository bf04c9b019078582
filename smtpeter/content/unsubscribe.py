"""How a reader leaves the list, as mail programs understand it: List-Unsubscribe and List-Unsubscribe-Post.

RFC 2369 3.2, RFC 8058, RFC 6068 (mailto). Raises Refused from `check_unsubscribe`.
"""

import re
from urllib.parse import quote

from smtpeter.model.address import AddressError, parse_address
from smtpeter.model.parts import Unsubscribe
from smtpeter.model.refusal import Refused
from smtpeter.wire.headers import fold

MAX_URL = 900  # the field cannot be folded inside it, and a line has 998 octets
# RFC 3986 2: ASCII without blanks and controls, and without what ends the URL for a reader of RFC 2369
_URL = re.compile(r"https?://[A-Za-z0-9\[][A-Za-z0-9!$&'()*+,;=:@/?#\[\]._~%-]*\Z", re.IGNORECASE)
_MAILTO_SAFE = "!$'*+-._~"  # RFC 6068 2: what may stand in an address without percent-encoding


def check_unsubscribe(unsubscribe: Unsubscribe) -> None:
    """Refuses what cannot become the fields, naming the property."""
    if not unsubscribe.email and not unsubscribe.url:
        raise _refused("unsubscribe", "`unsubscribe` needs an `email`, a `url`, or both.")
    if unsubscribe.email:
        try:
            normal = str(parse_address(unsubscribe.email))
        except AddressError as error:
            raise _refused("unsubscribe.email", str(error)) from None
        if normal != unsubscribe.email:
            raise _refused("unsubscribe.email", f"The address is not in its normal form {normal!r}.")
    if unsubscribe.url and not _URL.match(unsubscribe.url):
        reason = "is not a web address; write https://example.com/leave?id=1, its host in ASCII, other characters percent-encoded."
        raise _refused("unsubscribe.url", f"{unsubscribe.url[:100]!r} {reason}")
    if len(unsubscribe.url) > MAX_URL:
        raise _refused("unsubscribe.url", f"The address of `unsubscribe` has at most {MAX_URL} characters.")


def _refused(field: str, reason: str) -> Refused:
    return Refused("invalid_request", field=field, reason=reason)


def has_oneclick(unsubscribe: Unsubscribe) -> bool:
    """True when readers can leave with one click; RFC 8058 3.1 asks for https, so an http address does not count."""
    return unsubscribe.oneclick and unsubscribe.url[:8].lower() == "https://"


def write_unsubscribe(unsubscribe: Unsubscribe) -> list[bytes]:
    """Gives the fields: one, or two when readers can leave with one click. The web address comes first (preferred)."""
    targets = [f"<{unsubscribe.url}>"] if unsubscribe.url else []
    if unsubscribe.email:
        local, _, domain = unsubscribe.email.rpartition("@")
        targets.append(f"<mailto:{quote(local, safe=_MAILTO_SAFE)}@{quote(domain, safe=_MAILTO_SAFE)}>")
    fields = [fold("List-Unsubscribe", ", ".join(targets).split(" "))]
    if has_oneclick(unsubscribe):
        fields.append(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")  # RFC 8058 3.1
    return fields
