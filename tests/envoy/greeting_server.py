"""A server that speaks first, as SMTP's and MySQL's do, and then repeats what it is told."""

from __future__ import annotations

import socket
from threading import Thread

GREETING = b"220 ready\r\n"


def greeting_server(address: str, port: int) -> socket.socket:
    """It serves until the socket is closed, one client after the other."""
    server = socket.create_server((address, port))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.sendall(GREETING)
                connection.sendall(connection.recv(100))

    Thread(target=serve, daemon=True).start()
    return server
