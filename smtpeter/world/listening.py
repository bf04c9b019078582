"""Binds the sockets that clients come to.

Apart from those who accept on them: the process that holds the sockets (app/supervisor.py) is small and accepts nothing,
so this file imports no event loop. Raises OSError.
"""

import socket

BACKLOG = 2048


def bind(host: str, port: int) -> socket.socket:
    """Gives a listening TCP socket that does not block.

    `host` "" is every address, of both families where there are two; port 0 is any free one. Raises OSError.
    """
    if host == "" and socket.has_dualstack_ipv6():
        listening = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)
    else:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    listening.setblocking(False)
    return listening
