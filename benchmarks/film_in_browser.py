"""Does the film of a trained agent play in a browser, from the report, without a network or a display?

    python benchmarks/film_in_browser.py reports/STUDY/index.html      # needs chromium on the PATH

Opens the page from its file in headless Chromium, plays the film and prints how far it got.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

PORT = 9377

PLAY = """(async () => {
  const film = document.querySelector('video');
  if (!film) return {problem: 'there is no film on the page'};
  film.loop = false;
  try { await film.play(); } catch (error) { return {problem: String(error)}; }
  await new Promise(done => setTimeout(done, 1500));
  return {seconds_played: film.currentTime, seconds: film.duration, width: film.videoWidth, height: film.videoHeight,
          frames: film.getVideoPlaybackQuality().totalVideoFrames, problem: film.error && film.error.message};
})()"""


class Tab:
    """A page, asked over Chromium's debugging protocol: a web socket with small text frames."""

    def __init__(self, url: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", PORT))
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {url.split(str(PORT), 1)[1]} HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._socket.recv(1)

    def evaluate(self, expression: str) -> Any:
        """Return what an expression's promise becomes."""
        parameters = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        text = json.dumps({"id": 1, "method": "Runtime.evaluate", "params": parameters}).encode()
        mask = os.urandom(4)
        header = b"\x81" + bytes([0x80 | 126]) + struct.pack(">H", len(text))
        self._socket.sendall(header + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(text)))
        while True:
            message = json.loads(self._receive())
            if message.get("id") == 1:
                return message["result"]["result"].get("value")

    def _receive(self) -> bytes:
        length = self._exactly(2)[1] & 127
        if length == 126:
            (length,) = struct.unpack(">H", self._exactly(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", self._exactly(8))
        return self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += self._socket.recv(count - len(data))
        return data


def find_page() -> str:
    """Return the address of the open page's debugger."""
    for _ in range(100):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/json") as answer:
                return str(next(tab["webSocketDebuggerUrl"] for tab in json.load(answer) if tab["type"] == "page"))
        except (OSError, StopIteration):
            time.sleep(0.3)
    raise SystemExit("Chromium did not start.")


def main() -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None or len(sys.argv) != 2:
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser, "--headless=new", "--no-sandbox", "--disable-gpu", f"--remote-debugging-port={PORT}",
            "--remote-allow-origins=*", f"--user-data-dir={profile}", Path(sys.argv[1]).resolve().as_uri(),
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            tab = Tab(find_page())
            time.sleep(3)
            found = tab.evaluate(PLAY)
        finally:
            process.terminate()
            process.wait()
    print(json.dumps(found))
    raise SystemExit(0 if found.get("seconds_played", 0) > 0 and not found["problem"] else 1)


if __name__ == "__main__":
    main()
