"""What may stand on a suppression list: an address or a domain, read the same way by every door.

Raises only AddressError, whose text tells how to mend the entry.
"""

from smtpeter.model.address import AddressError, parse_address, parse_domain

MANUAL = "manual"  # the cause of an entry when nobody gives one


def read_entry(text: str) -> str:
    """Gives an address or a domain in its normal form, in lower case as the list has it.

    A domain may be written as `@example.com` too, and must be so when it has no dot: `jane` alone is a mistake.
    """
    local, at, domain = text.strip(" ").rpartition("@")
    if local:
        return str(parse_address(f"{local}@{domain}")).lower()
    if not at and "." not in domain:
        raise AddressError(f"{text[:100]!r} is neither an address nor a domain; write jane@example.org or example.org.")
    return parse_domain(domain)
