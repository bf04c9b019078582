"""The listening sockets of a gateway, bound once and inherited by its workers.

A socket is known by the place that the configuration names, so a new configuration keeps those that are in both, and a
client that comes while workers change waits in the socket's queue. Raises OSError.
"""

import socket
from collections import Counter
from dataclasses import dataclass, field

from smtpeter.app.start import Opening
from smtpeter.config import Config, Listen
from smtpeter.world.listening import bind

PORTS_TRIED = 50  # in development mode, when the usual one is taken
DOORS = ("smtp", "smtps", "http", "https", "capture")

_Key = tuple[Listen, int]  # a place may be named several times, when its port is 0


@dataclass(slots=True)
class Sockets:
    """Those of one gateway with these roles."""

    roles: frozenset[str]
    is_development: bool
    _open: dict[_Key, socket.socket] = field(default_factory=dict)
    _doors: dict[_Key, str] = field(default_factory=dict)

    def open(self, config: Config) -> None:
        """Binds what this configuration names and is not open yet; all of it, or nothing. Raises OSError."""
        doors = self._wanted(config)
        added: dict[_Key, socket.socket] = {}
        try:
            for key in doors:
                if key not in self._open:
                    added[key] = self._bind(key[0])
        except OSError:
            for listening in added.values():
                listening.close()
            raise
        self._open |= added
        self._doors = doors

    @property
    def openings(self) -> tuple[Opening, ...]:
        """The sockets that the latest configuration names, in its order."""
        return tuple(Opening(door, self._open[key].fileno()) for key, door in self._doors.items())

    @property
    def capture_port(self) -> int:
        """Where the capture sink listens; 0: there is none."""
        found = [key for key, door in self._doors.items() if door == "capture"]
        return int(self._open[found[0]].getsockname()[1]) if found else 0

    def close_others(self) -> None:
        """Closes what the latest configuration does not name any more."""
        for key in self._open.keys() - self._doors.keys():
            self._open.pop(key).close()

    def close(self) -> None:
        """Closes all. What workers have inherited stays open until they close it too."""
        for listening in self._open.values():
            listening.close()
        self._open.clear()
        self._doors.clear()

    def _wanted(self, config: Config) -> dict[_Key, str]:
        named: list[tuple[str, Listen]] = []
        if "smtp" in self.roles:
            named += [("smtp", place) for place in config.smtp.listeners]
            named += [("smtps", place) for place in config.smtp.tls_listeners]
        if "api" in self.roles:
            named += [("http", place) for place in config.http.listeners]
            named += [("https", place) for place in config.http.tls_listeners]
        if self.is_development:
            named.append(("capture", config.development.capture))
        times: Counter[Listen] = Counter()
        doors: dict[_Key, str] = {}
        for door, place in named:
            doors[place, times[place]] = door
            times[place] += 1
        return doors

    def _bind(self, place: Listen) -> socket.socket:
        if not self.is_development:
            return bind(place.host, place.port)
        for port in range(place.port, place.port + PORTS_TRIED):
            try:
                return bind(place.host, port)
            except OSError:
                continue
        raise OSError(f"no free port near {place}")
