"""A resolver that knows what a test says.

    zone = Zone({"example.com": {"mx": [(10, "mx.example.com")]}, "mx.example.com": {"a": ["203.0.113.1"]}})
    zone["broken.example"] = {"trouble": "SERVFAIL"}

What the answers mean for mail is decided by the functions of the real resolver. Raises only `DnsTrouble`.
"""

from typing import TypedDict

from smtpeter.world.resolver import Records, local_addresses, missing, no_address, order_hosts, unreachable
from smtpeter.world.seams import MxHost


class Name(TypedDict, total=False):
    """What is known of one name. `mx`: preference and host, "" for a null MX; `trouble`: nobody answers, and why."""

    mx: list[tuple[int, str]]
    a: list[str]
    aaaa: list[str]
    txt: list[str]
    cname: str
    trouble: str


class Zone(dict[str, Name]):
    """All names that exist (lower case, no final dot). May be changed while a story runs: there is no cache.

    `asked` are the questions so far, as kind and name, with the kinds "hosts", "addresses" and record types.
    """

    def __init__(self, names: dict[str, Name] | None = None) -> None:
        super().__init__(names or {})
        self.asked: list[tuple[str, str]] = []

    async def mail_hosts(self, domain: str) -> tuple[MxHost, ...]:
        """Gives the MX hosts by preference, as `seams.Resolver` says."""
        self.asked.append(("hosts", domain))
        name = self._name(domain)
        if name.get("mx"):
            return order_hosts(domain, name["mx"])
        self._addresses(domain)
        return (MxHost(0, domain),)

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Gives the addresses of a host, IPv6 first, as `seams.Resolver` says."""
        self.asked.append(("addresses", host))
        return local_addresses(host) or self._addresses(host)

    async def records(self, name: str, kind: str) -> Records:
        """Gives TXT records; there are no others. That there are none is no trouble."""
        self.asked.append((kind, name))
        known = self._name(name) if name in self else {}
        return Records(tuple(known.get("txt", ())) if kind == "TXT" else (), is_authentic=False)

    def _addresses(self, host: str) -> tuple[str, ...]:
        name = self._name(host)
        found = (*name.get("aaaa", ()), *name.get("a", ()))
        if not found:
            raise no_address(host)
        return found

    def _name(self, text: str) -> Name:
        """Gives what is known of a name, its aliases followed. Raises DnsTrouble."""
        seen = text
        for _ in range(8):
            name = self.get(seen)
            if name is None:
                raise missing(text)
            if name.get("trouble"):
                raise unreachable(text, name["trouble"])
            if not name.get("cname"):
                return name
            seen = name["cname"]
        raise unreachable(text, "its aliases go round in a circle")
