"""The command line itself: which verbs there are. `serve` comes from the roof, which is the only one to know it."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from cyclopts import App, Parameter

from smtpeter import __version__
from smtpeter.config import Config, SmartHost, TlsMode, development
from smtpeter.doors.cli import mail, people, setup, suppressions, users
from smtpeter.doors.cli.shared import COMMON, Common, fail, read_config
from smtpeter.store.operation import StoreRefused, StoreUnavailable

ROLES = ("smtp", "api", "mta")


def run(serve: Callable[..., None]) -> None:
    """Runs the program. `serve` starts the gateway with a configuration, roles, is_development and ready_file."""
    app = App(name="smtpeter", version=__version__, help="An e-mail gateway.", default_parameter=Parameter(negative=()))

    @app.command(name="serve")
    def serve_command(
        *,
        dev: Annotated[bool, Parameter(negative="")] = False,
        roles: str = ",".join(ROLES),
        ready_file: Path | None = None,
        smart_host: str = "",
        port_base: int = 0,
        common: Common = COMMON,
    ) -> None:
        """Runs the gateway until SIGTERM, then finishes what is in flight.

        Example: smtpeter serve --dev

        Parameters
        ----------
        dev
            Development mode: loopback only, own certificate and credentials, all mail into the built-in sink.
        roles
            What this process does, any of smtp, api, mta, comma separated.
        ready_file
            Write a JSON file with addresses and credentials when everything listens (development mode).
        smart_host
            Deliver everything to this HOST:PORT.
        port_base
            Shift all ports of development mode by so many.
        """
        wanted = frozenset(role.strip() for role in roles.split(","))
        if not wanted or wanted - set(ROLES):
            fail(f"The roles are {', '.join(ROLES)}.", 2)
        if dev and wanted != set(ROLES):
            fail("Development mode runs all roles; leave --roles out.", 2)
        config = read_config(common, development(port_base) if dev else None)
        if smart_host:
            config = _towards(config, smart_host)
        try:
            serve(config, roles=wanted, is_development=dev, ready_file=ready_file)
        except (StoreRefused, StoreUnavailable, OSError, ValueError) as error:
            fail(f"smtpeter cannot start: {error}")

    groups = (
        people.account,
        people.token,
        people.login,
        users.user,
        people.domain,
        suppressions.suppression,
        mail.queue,
    )
    for group in groups:
        app.command(group)
    for verb in (setup.init, setup.check_config, setup.migrate, setup.version, mail.send, mail.message, mail.why):
        app.command(verb)
    try:
        app()
    except BrokenPipeError:
        sys.exit(1)


def _towards(config: Config, smart_host: str) -> Config:
    """Gives the configuration with everything routed to one host."""
    host, _, port = smart_host.rpartition(":")
    if not host or not port.isdigit():
        fail("--smart-host wants HOST:PORT.", 2)
    route = SmartHost(host.strip("[]"), int(port), TlsMode.OPPORTUNISTIC)
    return replace(config, delivery=replace(config.delivery, smart_host=route, routes=MappingProxyType({})))
