"""Configuration: one TOML file, each key overridable by the environment, all mistakes reported at once.

`sections` holds what can be set, one frozen dataclass per room; `load` reads it; `template` writes the commented file
that `smtpeter init` puts down. Nothing here knows another room.
"""

from smtpeter.config.delivery import Delivery, LimitLine, PoolAddress, RouteLine, SmartHost
from smtpeter.config.load import ConfigError, Mistake, load
from smtpeter.config.sections import (
    Config,
    Development,
    Fetch,
    Http,
    Log,
    Server,
    Smtp,
    Store,
    Tls,
    Tracking,
    development,
)
from smtpeter.config.template import template
from smtpeter.config.values import Listen, Network, Origin, TlsMode, Via, matches

__all__ = [
    "Config",
    "ConfigError",
    "Delivery",
    "Development",
    "Fetch",
    "Http",
    "LimitLine",
    "Listen",
    "Log",
    "Mistake",
    "Network",
    "Origin",
    "PoolAddress",
    "RouteLine",
    "Server",
    "SmartHost",
    "Smtp",
    "Store",
    "Tls",
    "TlsMode",
    "Tracking",
    "Via",
    "development",
    "load",
    "matches",
    "template",
]
