"""DNS: the real version of `seams.Resolver`, with a cache of its own.

Wire format, repetitions and the change to TCP are dnspython's. What is here: which answer means what for mail, and a
cache that keeps failures too (RFC 2308), is bounded, and asks for one thing once however many wait for it. Aliases are
followed by the name server that we ask, so it must be a recursive one.

RFC 5321 5.1 (MX, implicit MX), RFC 7505 (null MX), RFC 2308 (negative answers), RFC 6840 5.7 (the AD bit).
Raises only `DnsTrouble`; when made, `ValueError` for a name server that is not an address.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Generic, TypeVar

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdatatype
import dns.resolver

from smtpeter.world.seams import Clock, DnsTrouble, MxHost

MAX_SECONDS = 24 * 3600.0
MIN_SECONDS = 5.0  # records with TTL 0 would be asked for with every message
MAX_NEGATIVE_SECONDS = 300.0  # a name that was missing works soon after it is made
_LEAST_SWEPT = 1024
TROUBLE_SECONDS = 10.0  # name servers in trouble are left alone for a moment (RFC 2308 7)
MAX_CACHED = 50_000
MAX_AT_ONCE = 200  # queries under way; each has a socket
QUERY_SECONDS = 12.0  # for one question: all name servers and repetitions together
EDNS_PAYLOAD = 1232  # passes every path in one packet

_NOT_THERE = "5.1.2"  # RFC 3463 3.2: bad destination system address
_NO_ROUTE = "5.4.4"  # RFC 3463 3.5: unable to route
_NULL_MX = "5.1.10"  # RFC 7505 4.2
_UNREACHABLE = "4.4.3"  # RFC 3463 3.5: directory server failure

# RFC 1123 2.1, and the underscore that real hosts have; the last label is no number, else it would be an address
_HOST = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_-]{1,63}\.)*(?![0-9]+\Z)[a-z0-9_-]{1,63}\Z")

_FLAGS = dns.flags.RD | dns.flags.AD  # RFC 6840 5.7: AD in a question asks for AD in the answer


@dataclass(frozen=True, slots=True)
class Records:
    """The records of one name and type; none when there are none or when the name does not exist.

    `texts` are in presentation form, names in it absolute; those of TXT are the bare text, its strings joined (RFC
    7208 3.3). `is_authentic`: the name server vouches for them by DNSSEC, which counts when it runs on this machine.
    """

    texts: tuple[str, ...]
    is_authentic: bool


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a name server said: `seconds` is how long it holds."""

    records: tuple[dns.rdata.Rdata, ...]
    seconds: float
    is_missing: bool  # the name itself does not exist
    is_authentic: bool


_T = TypeVar("_T")


class _Shelf(Generic[_T]):
    """What was found, or the trouble instead, by key. `find` gives it with the seconds that it holds."""

    def __init__(
        self, clock: Clock, max_kept: int, find: Callable[..., Awaitable[tuple[_T | DnsTrouble, float]]]
    ) -> None:
        self._clock = clock
        self._max_kept = max_kept
        self._sweep_at = _LEAST_SWEPT  # when so many are kept, those that are over go
        self._find = find
        self._kept: dict[tuple[str, ...], tuple[_T | DnsTrouble, float]] = {}  # until when; oldest first
        self._under_way: dict[tuple[str, ...], asyncio.Task[_T | DnsTrouble]] = {}

    async def get(self, *key: str) -> _T:
        """Gives what is kept, else what is found now; one search at a time for a key. Raises DnsTrouble."""
        kept = self._kept.get(key)
        if kept is not None and kept[1] > self._clock.monotonic():
            value = kept[0]
        else:
            task = self._under_way.get(key)
            if task is None:
                task = self._under_way[key] = asyncio.create_task(self._search(key))
            value = await asyncio.shield(task)  # who stops waiting does not stop the others
        if isinstance(value, DnsTrouble):
            raise DnsTrouble(str(value), is_final=value.is_final, status=value.status)
        return value

    async def _search(self, key: tuple[str, ...]) -> _T | DnsTrouble:
        value: _T | DnsTrouble
        try:
            try:
                value, seconds = await self._find(*key)
            except DnsTrouble as trouble:
                value, seconds = trouble.with_traceback(None), TROUBLE_SECONDS
            self._kept.pop(key, None)
            if len(self._kept) >= self._sweep_at:
                now = self._clock.monotonic()
                self._kept = {k: v for k, v in self._kept.items() if v[1] > now}
                self._sweep_at = max(_LEAST_SWEPT, 2 * len(self._kept))
            while len(self._kept) >= self._max_kept:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = value, self._clock.monotonic() + seconds
            return value
        finally:
            del self._under_way[key]

    async def close(self) -> None:
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def order_hosts(domain: str, hosts: Iterable[tuple[int, str]]) -> tuple[MxHost, ...]:
    """Gives the usable hosts of a domain that has MX records, best first.

    `hosts` are preference and name, the root being "" or ".". Raises DnsTrouble, final.
    """
    named = [(preference, name.rstrip(".").lower()) for preference, name in hosts]
    if not any(name for _, name in named):
        raise DnsTrouble(f"{domain} accepts no mail (null MX)", is_final=True, status=_NULL_MX)  # RFC 7505 3
    best: dict[str, int] = {}
    for preference, name in sorted(named):
        if _HOST.match(name):
            best.setdefault(name, preference)
    if not best:
        # RFC 5321 5.1: when there are MX records and none is usable, the address of the domain is no way out
        raise DnsTrouble(f"{domain} has no MX record with a host name", is_final=True, status=_NO_ROUTE)
    return tuple(MxHost(preference, name) for name, preference in best.items())


def missing(name: str) -> DnsTrouble:
    """Gives the trouble of a name that does not exist."""
    return DnsTrouble(f"{name} does not exist in DNS", is_final=True, status=_NOT_THERE)


def no_address(name: str) -> DnsTrouble:
    """Gives the trouble of a name without any address."""
    return DnsTrouble(f"{name} has no address in DNS", is_final=True, status=_NOT_THERE)


def unreachable(name: str, reason: str) -> DnsTrouble:
    """Gives the trouble of a name about which nobody could tell anything now."""
    return DnsTrouble(f"{name} could not be looked up: {reason}", is_final=False, status=_UNREACHABLE)


def local_addresses(host: str) -> tuple[str, ...] | None:
    """Gives the addresses of a host that needs no DNS: an address itself, or localhost (RFC 6761 6.3)."""
    if host == "localhost":
        return ("::1", "127.0.0.1")
    if host[-1:].isdigit() or ":" in host:
        try:
            return (str(ip_address(host)),)
        except ValueError:
            return None
    return None


class DnsResolver:
    """Asks recursive name servers and remembers.

    `servers` as `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353`; empty: those of the system.
    Belongs to one event loop.
    """

    def __init__(
        self,
        clock: Clock,
        servers: tuple[str, ...] = (),
        *,
        query_seconds: float = QUERY_SECONDS,
        max_cached: int = MAX_CACHED,
    ) -> None:
        self._hosts = _Shelf(clock, max_cached, self._find_hosts)
        self._addresses = _Shelf(clock, max_cached, self._find_addresses)
        self._records = _Shelf(clock, max_cached, self._find_records)
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)
        self._dns = _system_resolver() if not servers else dns.asyncresolver.Resolver(configure=False)
        if servers:
            self._dns.nameservers = [_name_server(text) for text in servers]
        self._dns.lifetime = query_seconds
        self._dns.timeout = min(2.0, query_seconds / 2)  # for one packet
        self._dns.use_edns(0, 0, EDNS_PAYLOAD)
        self._dns.set_flags(_FLAGS)

    # ---- seams.Resolver, and one more

    async def mail_hosts(self, domain: str) -> tuple[MxHost, ...]:
        """Gives the MX hosts by preference; the domain itself when it has no MX but an address (RFC 5321 5.1).

        Trouble is final with 5.1.10 (null MX), 5.1.2 (no such name, or neither MX nor address) or 5.4.4 (no MX record
        names a host), and 4.4.3 when nobody answered.
        """
        return await self._hosts.get(domain)

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Gives the addresses of a host as text, IPv6 first. A text that is an address stands for itself."""
        local = local_addresses(host)
        if local is not None:
            return local
        return await self._addresses.get(host)

    async def records(self, name: str, kind: str) -> Records:
        """Gives the records of a type such as "TXT" or "TLSA". That there are none is no trouble."""
        return await self._records.get(name, kind)

    async def close(self) -> None:
        """Gives up what is under way."""
        for shelf in (self._hosts, self._addresses, self._records):
            await shelf.close()

    # ---- what answers mean

    async def _find_hosts(self, domain: str) -> tuple[tuple[MxHost, ...] | DnsTrouble, float]:
        answer = await self._ask(domain, "MX")
        if answer.is_missing:
            return missing(domain), answer.seconds
        try:
            if answer.records:
                pairs = [(record.preference, record.exchange.to_text()) for record in answer.records]  # type: ignore[attr-defined]
                return order_hosts(domain, pairs), answer.seconds
            await self.addresses(domain)
            return (MxHost(0, domain),), answer.seconds  # RFC 5321 5.1: the implicit MX
        except DnsTrouble as trouble:
            if trouble.is_final:
                return trouble.with_traceback(None), answer.seconds
            raise

    async def _find_addresses(self, host: str) -> tuple[tuple[str, ...] | DnsTrouble, float]:
        asked = await asyncio.gather(self._ask(host, "AAAA"), self._ask(host, "A"), return_exceptions=True)
        answers = [answer for answer in asked if isinstance(answer, _Answer)]
        troubles = [trouble for trouble in asked if isinstance(trouble, BaseException)]
        found = tuple(record.address for answer in answers for record in answer.records)  # type: ignore[attr-defined]
        if troubles and not found:
            raise troubles[0]
        seconds = min([answer.seconds for answer in answers] + [TROUBLE_SECONDS for _ in troubles])
        if found:
            return found, seconds
        return (missing(host) if any(answer.is_missing for answer in answers) else no_address(host)), seconds

    async def _find_records(self, name: str, kind: str) -> tuple[Records, float]:
        answer = await self._ask(name, kind)
        return Records(tuple(map(_text, answer.records)), answer.is_authentic), answer.seconds

    # ---- one question

    async def _ask(self, name: str, kind: str) -> _Answer:
        """Asks the name servers. Raises DnsTrouble that is not final, except for a text that cannot be a name."""
        try:
            # the root is the origin: names are never searched in the domains of the system
            full = dns.name.from_text(name, dns.name.root)
        except dns.exception.DNSException:
            raise DnsTrouble(f"{name!r} is not a name", is_final=True, status=_NOT_THERE) from None
        try:
            async with self._slots:
                answer = await self._dns.resolve(full, kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN as error:
            response = error.response(full)  # type: ignore[no-untyped-call]
            seconds = _negative_seconds(response.resolve_chaining().minimum_ttl)
            return _Answer((), seconds, True, bool(response.flags & dns.flags.AD))
        except dns.resolver.NoNameservers as error:
            reason = error.kwargs["errors"][-1][3] if error.kwargs.get("errors") else "no name server answered"
            raise unreachable(name, f"the name servers failed ({reason})") from error
        except dns.exception.Timeout as error:
            raise unreachable(name, "no answer in time") from error
        except (dns.exception.DNSException, OSError) as error:
            raise unreachable(name, str(error) or type(error).__name__) from error
        records = tuple(answer.rrset) if answer.rrset is not None else ()
        ttl = answer.chaining_result.minimum_ttl
        seconds = _seconds(ttl) if records else _negative_seconds(ttl)
        return _Answer(records, seconds, False, bool(answer.response.flags & dns.flags.AD))


def _system_resolver() -> dns.asyncresolver.Resolver:
    """Gives a resolver with the name servers of the system, or one on this machine when it names none."""
    try:
        return dns.asyncresolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers = ["127.0.0.1"]
        return resolver


def _seconds(ttl: float) -> float:
    return min(max(float(ttl), MIN_SECONDS), MAX_SECONDS)


def _negative_seconds(ttl: float) -> float:
    """Gives the time for an answer that there is nothing; without SOA there is no limit in it (RFC 2308 5)."""
    return min(max(float(ttl), MIN_SECONDS), MAX_NEGATIVE_SECONDS)


def _text(record: dns.rdata.Rdata) -> str:
    if record.rdtype == dns.rdatatype.TXT:
        return b"".join(record.strings).decode("utf-8", "replace")  # type: ignore[attr-defined]
    return record.to_text()


def _name_server(text: str) -> dns.nameserver.Nameserver:
    """Reads `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1` or `[2001:db8::1]:53`. Raises ValueError."""
    address, port = text, "53"
    if text.startswith("["):
        address, end, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or (port if end else "")
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not a name server; write 192.0.2.1 or 192.0.2.1:53")
    return dns.nameserver.Do53Nameserver(str(ip_address(address)), int(port))
