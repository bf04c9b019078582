"""`smtpeter reload`: has the gateways on this data folder take their configuration and their program anew."""

import os
import signal

from smtpeter.doors.cli.shared import COMMON, Common, fail, read_config, show
from smtpeter.world.process_files import running


def reload(*, common: Common = COMMON) -> None:
    """Replaces the workers of a running gateway one by one, with the present configuration and program.

    No mail is refused meanwhile. What comes of it is in the log of the gateway: reload.done, or reload.refused with what
    is wrong in the configuration, and then nothing has changed.

    Example: smtpeter reload
    """
    data_dir = read_config(common).server.data_dir
    try:
        found = running(data_dir)
        for pid in found:
            os.kill(pid, signal.SIGHUP)
    except OSError as error:
        fail(f"The gateway could not be told: {error.strerror}.")
    if not found:
        fail(f"No gateway runs on {data_dir}; say where with --data-dir or --config.")
    show(common, {"pids": found}, f"Reloading: {', '.join(map(str, found))}. Its log says when it is done.")
