"""A hub of one process: the parts of the Hugging Face Hub's protocol that sending and fetching files use.

What goes where is read from the client, huggingface_hub 1 and 2 (``hf_api``, ``_commit_api``, ``_upload_pipeline``,
``lfs``): small files travel in the commit, large ones before it, by Xet or, where hf_xet is missing, by Git LFS.
"""

import base64
import contextlib
import fnmatch
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from xet_store import Store

COMMIT = "c" * 40
#: From this size on the Hub takes a file as a large one, whatever its name.
LARGE_BYTES = 10 * 1024 * 1024


class Hub:
    """Repositories by name, each a mapping from path to bytes; and every request's method, path and token.

    Attributes:
        commits: One list of ``(path, kind)`` for each commit; kind is "file" or "lfsFile".
        store: Where large files are, by SHA-256.
        refuses: Status and text with which everything is answered.
        refuses_large: Likewise, where large files are sent.
        creates: The answer to whoever makes a repository.
    """

    def __init__(self):
        self.repositories = {}
        self.commits = []
        self.requests = []
        self.store = Store()
        self.refuses = None
        self.refuses_large = None
        self.creates = None
        self.url = ""

    def is_large(self, name, path, size):
        """Tell by size and by what the repository's ``.gitattributes`` says, as a new one of the Hub has it."""
        rules = self.repositories[name].get(".gitattributes", b"*.zip filter=lfs\n*.mp4 filter=lfs").decode()
        patterns = [line.split()[0] for line in rules.splitlines() if "filter=lfs" in line]
        return size >= LARGE_BYTES or any(fnmatch.fnmatch(path.split("/")[-1], pattern) for pattern in patterns)


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
            name = "/".join(path.split("/")[3:5])
            if hub.refuses is not None:
                status, text = hub.refuses
                self._answer({"error": text}, status)
            elif hub.creates is not None:
                self._answer(hub.creates)
            elif path == "/api/repos/create":
                self._create(json.loads(body))
            elif path == "/api/validate-yaml":
                self._answer({"errors": [], "warnings": []})
            elif path.endswith("/preupload/main"):
                self._answer({"files": [self._mode(name, each) for each in json.loads(body)["files"]]})
            elif path.endswith("/commit/main"):
                self._commit(name, body)
            elif hub.refuses_large is not None:
                status, text = hub.refuses_large
                self._answer({"error": text}, status)
            elif path.endswith(".git/info/lfs/objects/batch"):
                self._answer({"objects": [self._places(each) for each in json.loads(body)["objects"]]})
            elif path == "/large/verify":
                asked = json.loads(body)
                kept = hub.store.files.get(asked["oid"])
                self._answer({}, 200 if kept is not None and len(kept) == asked["size"] else 404)
            elif path.startswith("/xet/v1/xorbs/default/"):
                hub.store.keep_block(path.split("/")[-1], body)
                self._answer({"was_inserted": True})
            elif path == "/xet/v1/shards":
                hub.store.keep_files(body)
                self._answer({"result": 1})
            else:  # newer ways of hf_xet among them: it falls back
                self._answer({"error": f"no {path}"}, 404)

        def do_PUT(self):
            body, path = self._body(), urlsplit(self.path).path
            hub.requests.append(("PUT", path, self.headers.get("Authorization")))
            assert hashlib.sha256(body).hexdigest() == path.split("/")[-1]
            hub.store.files[path.split("/")[-1]] = body
            self._answer(b"")

        def _create(self, asked):
            name = "/".join(filter(None, [asked.get("organization") or "me", asked["name"]]))
            url = f"{hub.url}/{name}"
            if name in hub.repositories:
                self._answer({"error": "You already created this model repo", "url": url}, 409)
            else:
                hub.repositories[name] = {}
                self._answer({"url": url, "name": name, "private": asked.get("private")})

        def _mode(self, name, file):
            large = hub.is_large(name, file["path"], file["size"])
            answer = {"path": file["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
            there = hub.repositories[name].get(file["path"])
            if there is not None:  # an unchanged file is not sent again
                blob = hashlib.sha1(b"blob %d\0" % len(there) + there)
                answer["oid"] = (hashlib.sha256(there) if large else blob).hexdigest()
            return answer

        def _places(self, asked):
            if asked["oid"] in hub.store.files:
                return asked
            upload, verify = f"{hub.url}/large/{asked['oid']}", f"{hub.url}/large/verify"
            return {**asked, "actions": {"upload": {"href": upload}, "verify": {"href": verify}}}

        def _commit(self, name, body):
            kinds = []
            for line in body.splitlines():
                each = json.loads(line)
                value = each["value"]
                if each["key"] == "file":
                    hub.repositories[name][value["path"]] = base64.b64decode(value["content"])
                elif each["key"] == "lfsFile":
                    content = hub.store.files[value["oid"]]
                    assert (value["algo"], value["size"]) == ("sha256", len(content))
                    hub.repositories[name][value["path"]] = content
                else:
                    continue
                kinds.append((value["path"], each["key"]))
            hub.commits.append(kinds)
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
            elif path.endswith("/xet-write-token/main") and hub.refuses_large is not None:
                status, text = hub.refuses_large
                self._answer({"error": text}, status)
            elif path.endswith("/xet-write-token/main"):
                self._answer({"casUrl": f"{hub.url}/xet", "accessToken": "xet_token", "exp": int(time.time()) + 3600})
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
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
