"""A name server for mail that cannot be delivered: every domain it is asked about leads nowhere, each in its own way.

The way follows from the number in the name: d0.test does not exist, d1.test gets no answer that helps, d2.test wants no
mail (RFC 7505), d3.test has a mail host with an address that mail must not go to, and so on in turn.
"""

import asyncio
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

WAYS = 4
_TTL = 300


class Names(asyncio.DatagramProtocol):
    """The server. `asked` counts questions."""

    def __init__(self) -> None:
        self.asked = 0
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked += 1
        self._transport.sendto(_answer(dns.message.from_wire(data)).to_wire(), addr)

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    def close(self) -> None:
        """Stops answering."""
        self._transport.close()


async def serve_names() -> Names:
    """Opens a name server on a free port."""
    _, names = await asyncio.get_running_loop().create_datagram_endpoint(Names, ("127.0.0.1", 0))
    return names


def _answer(query: dns.message.Message) -> dns.message.Message:
    response = dns.message.make_response(query)
    response.flags |= dns.flags.AA | dns.flags.RA
    question = query.question[0]
    name = question.name.to_text()
    way = int("".join(filter(str.isdigit, name)) or 0) % WAYS
    is_mx, is_a = question.rdtype == dns.rdatatype.MX, question.rdtype == dns.rdatatype.A
    if way == 0:
        response.set_rcode(dns.rcode.NXDOMAIN)
    elif way == 1:
        response.set_rcode(dns.rcode.SERVFAIL)
    elif is_mx:
        host = "." if way == 2 else f"mx.{name}"
        response.answer.append(dns.rrset.from_text(question.name, _TTL, "IN", "MX", f"{0 if way == 2 else 10} {host}"))
    elif is_a and name.startswith("mx."):
        response.answer.append(dns.rrset.from_text(question.name, _TTL, "IN", "A", "127.0.0.99"))
    return response
