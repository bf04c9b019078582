"""What makes mail, once for a process whatever its roles: keys of tokens, compiled documents, the web, the renderer."""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path

from smtpeter.config import Config
from smtpeter.content.letter import Letters
from smtpeter.content.render import Tools
from smtpeter.domains.seal import MasterKey
from smtpeter.prepare.fetching import Fetching
from smtpeter.prepare.renderer import Renderer
from smtpeter.store.store import Store
from smtpeter.wire.token import Key, Keyring
from smtpeter.world.fetch.client import HttpClient, Rules
from smtpeter.world.networks import Destinations, Network, parse_networks
from smtpeter.world.seams import World
from smtpeter.world.tls import ClientContexts


@dataclass(frozen=True, slots=True)
class Making:
    """The parts; `client` is the one way to other people's web servers."""

    keyring: Keyring
    letters: Letters
    client: HttpClient
    fetching: Fetching
    renderer: Renderer

    async def close(self) -> None:
        """Ends what is under way."""
        await self.renderer.close()
        await self.fetching.close()


def making_of(config: Config, store: Store, world: World, master: MasterKey) -> Making:
    """Makes them from the configuration. Raises OSError for authorities that cannot be read."""
    keyring = Keyring([Key(0, master.derive("token:0"))])
    letters = Letters()
    rules = Rules(destinations(config), allow_high_ports=config.fetch.allow_high_ports)
    client = HttpClient(world.resolver, world.dialer, _contexts(config.tls.ca).verified, rules)
    fetching = Fetching(store, world.clock, client)
    tools = Tools(config.server.hostname, keyring, letters, config.smtp.received_show_client)
    return Making(keyring, letters, client, fetching, Renderer(store, world.clock, tools, fetching))


@lru_cache(maxsize=4)  # loading authorities takes longer than all the rest of a start
def _contexts(ca: str) -> ClientContexts:
    return ClientContexts(Path(ca) if ca else None)


def destinations(config: Config) -> Destinations:
    """Gives where customers may make us connect to: not to ourselves (H2)."""
    return Destinations(_own(config), config.fetch.forbidden, config.fetch.networks)


def _own(config: Config) -> tuple[Network, ...]:
    """Gives the public addresses that the configuration names as ours; private ones are closed anyway."""
    listeners = (
        *config.smtp.listeners,
        *config.smtp.tls_listeners,
        *config.http.listeners,
        *config.http.tls_listeners,
    )
    named = [listener.host for listener in listeners]
    named += [str(each.address) for pool in config.delivery.pools.values() for each in pool]
    return parse_networks([host for host in named if _is_public(host)])


def _is_public(host: str) -> bool:
    try:
        return ip_address(host).is_global
    except ValueError:  # a name, or every address
        return False
