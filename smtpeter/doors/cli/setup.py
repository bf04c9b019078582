"""`smtpeter init | check-config | migrate | version`: before the first start, and before an upgrade."""

from pathlib import Path

from smtpeter import __version__
from smtpeter.config import Config, template
from smtpeter.delivery.site import shipped_providers, with_more
from smtpeter.delivery.verdict import read_rows
from smtpeter.doors.cli.shared import COMMON, Common, config_file, fail, read_config, show, with_store
from smtpeter.store.migrate import steps_done
from smtpeter.store.store import Store


def init(file: Path = Path("smtpeter.toml"), *, common: Common = COMMON) -> None:
    """Writes a commented configuration file with all settings and their defaults.

    Example: smtpeter init /etc/smtpeter/smtpeter.toml
    """
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(template())
    except FileExistsError:
        fail(f"{file} is there already; it was left as it is.")
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    show(common, {"file": str(file)}, f"{file} is written. Look through it, then run `smtpeter check-config`.")


def check_config(*, common: Common = COMMON) -> None:
    """Reads the configuration and reports all mistakes at once, with line numbers."""
    delivery = read_config(common).delivery
    try:
        read_rows(delivery.rules)
        with_more(shipped_providers(), {str(name): tuple(hosts) for name, hosts in delivery.providers.items()})
    except ValueError as error:
        fail(str(error), 2)
    file = config_file(common)
    where = str(file) if file else "no file: the defaults and the environment"
    show(common, {"file": str(file) if file else None, "valid": True}, f"The configuration is valid ({where}).")


def migrate(*, common: Common = COMMON) -> None:
    """Brings the data base to the schema of this version; `serve` does it too, unless another version is running."""

    async def work(store: Store, config: Config) -> list[str]:
        return await store.read(steps_done, None)

    steps = with_store(common, work)
    show(common, {"steps": steps}, f"The schema is up to date: {', '.join(steps)}.")


def version(*, common: Common = COMMON) -> None:
    """Prints the version."""
    show(common, {"version": __version__}, __version__)
