"""A network between a client and a server on this machine that can be cut without a word, and mended."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading


class Network:
    """Listens on a port of its own and forwards to another; what is sent while it is cut arrives once it is mended.

    Args:
        port: Where the server listens.

    Attributes:
        port: Where clients connect.
    """

    def __init__(self, port: int) -> None:
        self._server = port
        self._open = threading.Event()
        self._open.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Forward nothing any more; connections stay."""
        self._open.clear()

    def mend(self) -> None:
        """Forward again."""
        self._open.set()

    def close(self) -> None:
        """Take no new connections."""
        self._open.set()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            self._open.wait()
            with (
                socket.create_connection(("127.0.0.1", self._server)) as server,
                selectors.DefaultSelector() as waiting,
            ):
                other = {client: server, server: client}
                # Not select(), which takes no file beyond the 1,024th.
                for side in other:
                    waiting.register(side, selectors.EVENT_READ)
                while True:
                    for key, _ in waiting.select():
                        side = key.fileobj
                        data = side.recv(65536)
                        self._open.wait()
                        if not data:
                            return
                        other[side].sendall(data)
