"""A hub of one process: the parts of the Hugging Face Hub's protocol that sending and fetching small files use."""

import base64
import contextlib
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

COMMIT = "c" * 40


class Hub:
    """Repositories by name, each a mapping from path to bytes; and every request's method, path and token."""

    def __init__(self):
        self.repositories = {}
        self.requests = []
        self.refuses = None
        self.creates = None
        self.url = ""


def _handler(hub):  # noqa: C901
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def _body(self):
            if self.headers.get("Transfer-Encoding") == "chunked":
                parts = []
                while size := int(self.rfile.readline(), 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def _answer(self, content, status=200, **headers):
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_POST(self):
            body, path = self._body(), urlsplit(self.path).path
            hub.requests.append(("POST", path, self.headers.get("Authorization")))
            if hub.refuses is not None:
                status, text = hub.refuses
                self._answer({"error": text}, status)
            elif hub.creates is not None:
                self._answer(hub.creates)
            elif path == "/api/repos/create":
                asked = json.loads(body)
                name = "/".join(filter(None, [asked.get("organization") or "me", asked["name"]]))
                hub.repositories.setdefault(name, {})
                self._answer({"url": f"{hub.url}/{name}", "name": name, "private": asked.get("private")})
            elif path == "/api/validate-yaml":
                self._answer({"errors": [], "warnings": []})
            elif path.endswith("/preupload/main"):
                files = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                         for f in json.loads(body)["files"]]  # fmt: skip
                self._answer({"files": files})
            elif path.endswith("/commit/main"):
                self._commit("/".join(path.split("/")[3:5]), body)
            else:
                self._answer({"error": f"no {path}"}, 404)

        def _commit(self, name, body):
            for line in body.splitlines():
                each = json.loads(line)
                if each["key"] == "file":
                    value = each["value"]
                    hub.repositories[name][value["path"]] = base64.b64decode(value["content"])
            self._answer({"success": True, "commitOid": COMMIT, "commitUrl": f"{hub.url}/{name}/commit/{COMMIT}"})

        def do_HEAD(self):
            self._file()

        def do_GET(self):
            self._file()

        def _file(self):
            path = urlsplit(self.path).path
            hub.requests.append((self.command, path, self.headers.get("Authorization")))
            owner, name, kind, *rest = [*path.strip("/").split("/", 4), "", ""][:5]
            files = hub.repositories.get(f"{owner}/{name}", {})
            if kind == "resolve" and rest[-1] in files:
                content = files[rest[-1]]
                etag = hashlib.sha1(content).hexdigest()
                self._answer(content, ETag=f'"{etag}"', X_Repo_Commit=COMMIT)
            elif path.startswith("/api/models/"):
                name = "/".join(path.split("/")[3:5])
                known = [{"rfilename": each} for each in hub.repositories.get(name, {})]
                self._answer(
                    {"id": name, "modelId": name, "sha": COMMIT, "siblings": known, "private": False, "tags": []}
                )
            else:
                self._answer({"error": "Entry not found"}, 404, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)

    return Handler


@contextlib.contextmanager
def running():
    """Yield a hub that answers on this machine."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
