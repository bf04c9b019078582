"""The command line itself: which verbs there are. `serve` comes from the roof, which is the only one to know it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from smtpeter import __version__
from smtpeter.config import development
from smtpeter.doors.cli import accounts, mail, people, process, setup, suppressions, templates, users
from smtpeter.doors.cli.queue import queue
from smtpeter.doors.cli.shared import COMMON, Common, config_file, fail, read_config

ROLES = ("smtp", "api", "mta")
MAX_WORKERS = 256
GROUPS = (
    accounts.account,
    people.token,
    people.login,
    users.user,
    people.domain,
    suppressions.suppression,
    templates.template,
    queue,
)
VERBS = (
    setup.init,
    setup.check_config,
    setup.migrate,
    setup.version,
    process.reload,
    mail.send,
    mail.message,
    mail.why,
)


def run(serve: Callable[..., None]) -> None:
    """Runs the program. `serve` goes on as a gateway and takes the fields of app/start.py, `Start`."""
    app = App(name="smtpeter", version=__version__, help="An e-mail gateway.", default_parameter=Parameter(negative=()))

    @app.command(name="serve")
    def serve_command(
        *,
        dev: Annotated[bool, Parameter(negative="")] = False,
        roles: str = ",".join(ROLES),
        ready_file: Path | None = None,
        smart_host: str = "",
        port_base: int = 0,
        workers: int | None = None,
        watchdog_seconds: Annotated[float, Parameter(show=False)] = 20.0,
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
        workers
            How many processes share the work, instead of the configured number.
        watchdog_seconds
            After how many seconds a worker that does not move is killed.
        """
        wanted = frozenset(role.strip() for role in roles.split(","))
        if not wanted or wanted - set(ROLES):
            fail(f"The roles are {', '.join(ROLES)}.", 2)
        if dev and wanted != set(ROLES):
            fail("Development mode runs all roles; leave --roles out.", 2)
        if workers is not None and not 1 <= workers <= MAX_WORKERS:
            fail(f"--workers wants a number from 1 to {MAX_WORKERS}.", 2)
        read_config(common, development(port_base) if dev else None)
        file = config_file(common)
        serve(
            roles=tuple(sorted(wanted)),
            program=sys.argv[0],
            config_file=str(file.absolute()) if file else "",
            data_dir=str(common.data_dir) if common.data_dir else "",
            ready_file=str(ready_file) if ready_file else "",
            is_development=dev,
            port_base=port_base,
            smart_host=_place(smart_host) if smart_host else None,
            workers=workers,
            watchdog_seconds=watchdog_seconds,
        )

    for command in (*GROUPS, *VERBS):
        app.command(command)
    try:
        app()
    except BrokenPipeError:
        sys.exit(1)


def _place(text: str) -> tuple[str, int]:
    """Gives host and port of `--smart-host`."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        fail("--smart-host wants HOST:PORT.", 2)
    return host.strip("[]"), int(port)
