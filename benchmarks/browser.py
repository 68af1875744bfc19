"""Headless Chromium over its debugging protocol, by the standard library alone: open a page, ask it, photograph it."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

#: Seconds within which Chromium starts, and answers.
PATIENCE_S = 60.0


class Tab:
    """A page, asked over a web socket with small text frames."""

    def __init__(self, address: str) -> None:
        host, _, path = address.removeprefix("ws://").partition("/")
        name, _, port = host.partition(":")
        self._socket = socket.create_connection((name, int(port)), timeout=PATIENCE_S)
        self._sent = 0
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET /{path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._socket.recv(1)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result; events on the way are passed over."""
        self._sent += 1
        text = json.dumps({"id": self._sent, "method": method, "params": parameters}).encode()
        mask = os.urandom(4)
        header = b"\x81" + bytes([0x80 | 126]) + struct.pack(">H", len(text))
        self._socket.sendall(header + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(text)))
        while True:
            message = json.loads(self._receive())
            if message.get("id") == self._sent:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                result: dict[str, Any] = message["result"]
                return result

    def evaluate(self, expression: str) -> Any:
        """Return what an expression, or the promise that it gives, becomes."""
        result = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"].get("description"))
        return result["result"].get("value")

    def show(self, width: int, height: int, *, dark: bool = False) -> None:
        """Make the window so many pixels large, and prefer dark pages or light ones."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, address: str) -> None:
        """Load a page and wait until that is done."""
        self.send("Page.navigate", url=address)
        self.wait(f"document.readyState === 'complete' && location.href === {json.dumps(address)}")

    def wait(self, condition: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE_S
        while not self.evaluate(condition):
            if time.monotonic() > end:
                raise TimeoutError(f"never true: {condition}")
            time.sleep(0.05)

    def screen(self) -> bytes:
        """Return what the window shows as a PNG."""
        return base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])

    def photograph(self) -> bytes:
        """Return the whole page, however long, as a PNG."""
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(shot["data"])

    def _receive(self) -> bytes:
        length = self._exactly(2)[1] & 127
        if length == 126:
            (length,) = struct.unpack(">H", self._exactly(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._exactly(8))
        return self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = self._socket.recv(min(count - len(data), 1 << 20))
            if not piece:
                raise ConnectionError("Chromium has gone")
            data += piece
        return bytes(data)


@contextlib.contextmanager
def new_tab() -> Iterator[Tab]:
    """Start Chromium with a profile that is thrown away, and yield its page.

    Raises:
        SystemExit: There is no Chromium, or it does not start.
    """
    if CHROMIUM is None:
        raise SystemExit("There is no chromium on the PATH.")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--hide-scrollbars", "--remote-debugging-port=0", "--remote-allow-origins=*",
            f"--user-data-dir={profile}", "about:blank",
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            with contextlib.closing(Tab(_page_address(Path(profile)))) as tab:
                yield tab
        finally:
            process.terminate()
            process.wait()


def _page_address(profile: Path) -> str:
    """Return the address of the open page's debugger, once Chromium has written its port."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        with contextlib.suppress(OSError, StopIteration, IndexError):
            port = (profile / "DevToolsActivePort").read_text(encoding="utf-8").split()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
                return str(next(tab["webSocketDebuggerUrl"] for tab in json.load(answer) if tab["type"] == "page"))
        time.sleep(0.1)
    raise SystemExit("Chromium did not start.")
