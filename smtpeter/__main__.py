"""The program `smtpeter`: the command line, and the roof above it only when a gateway is to run.

Most verbs need the store alone; they should not wait for what only a running gateway needs. A gateway is a supervisor
and its workers, which are this program again with a verb that only they use.
"""

import sys
from typing import Any

from smtpeter.app.start import SUPERVISOR, WORKER


def serve(**options: Any) -> None:
    """Goes on as a gateway; does not return."""
    from smtpeter.app.start import Start, become_supervisor

    become_supervisor(Start(**options))


def main() -> None:
    """Runs the command line, or one of the processes of a gateway."""
    match sys.argv[1:]:
        case [verb, words] if verb == SUPERVISOR:
            import msgspec

            from smtpeter.app.start import Start
            from smtpeter.app.supervisor import supervise

            sys.exit(supervise(msgspec.json.decode(words, type=Start)))
        case [verb, words] if verb == WORKER:
            import msgspec

            from smtpeter.app.serve import work
            from smtpeter.app.start import Errand

            sys.exit(work(msgspec.json.decode(words, type=Errand)))
        case _:
            from smtpeter.doors.cli.main import run

            run(serve)


if __name__ == "__main__":
    main()
