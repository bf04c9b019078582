"""The program `smtpeter`: the command line, and the roof above it only when a gateway is to run.

Most verbs need the store alone; they should not wait for what only a running gateway needs.
"""

from typing import Any

from smtpeter.config import Config
from smtpeter.doors.cli.main import run


def serve(config: Config, **options: Any) -> None:
    """Starts a gateway."""
    from smtpeter.app import serve as process

    process.serve(config, process.ServeOptions(**options))


def main() -> None:
    """Runs the command line."""
    run(serve)


if __name__ == "__main__":
    main()
