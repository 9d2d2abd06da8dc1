"""A local stand-in of the Hub's HTTP interface, as far as publishing a model asks for it.

It answers the real `huggingface_hub` client: repositories are made, files arrive regular or by the
LFS protocol, and a commit of them stands as one. What was asked and uploaded is recorded.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-token-of-the-stand-in"
LARGE = (".safetensors", ".gguf", ".onnx", ".bin", ".npy")
"""What goes by LFS, as the Hub's own .gitattributes say."""


@dataclass
class Repository:
    """A model repository as its last commit has left it."""

    private: bool
    files: dict[str, bytes] = field(default_factory=lambda: {".gitattributes": b"*.bin lfs"})
    commits: list[str] = field(default_factory=list)


@dataclass
class HubStandIn:
    """The state of the Hub, and the requests that it has had."""

    address: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    """What was uploaded by LFS, by its SHA-256."""
    asked: list[str] = field(default_factory=list)
    """`METHOD /path` of every request."""
    ignored: tuple[str, ...] = ()
    """Files that a .gitignore of every repository leaves out."""
    refuses: int | None = None
    """The status with which every commit is refused."""

    # --- What is asked of it: (status, answer) -----------------------------------

    def create(self, body: dict[str, Any]) -> tuple[int, object]:
        name = f"{body['organization']}/{body['name']}"
        url = f"{self.address}/{name}"
        if name in self.repositories:
            return 409, {"error": "You already created this model repo", "url": url}
        self.repositories[name] = Repository(body.get("visibility") == "private")
        return 200, {"url": url}

    def upload_modes(self, body: dict[str, Any]) -> tuple[int, object]:
        files = [
            {
                "path": one["path"],
                "uploadMode": "lfs" if one["path"].endswith(LARGE) else "regular",
                "shouldIgnore": one["path"] in self.ignored,
            }
            for one in body["files"]
        ]
        return 200, {"files": files}

    def lfs_actions(self, body: dict[str, Any]) -> tuple[int, object]:
        objects = [
            {**one, "actions": {"upload": {"href": f"{self.address}/lfs/{one['oid']}"}}}
            for one in body["objects"]
        ]
        return 200, {"transfer": "basic", "objects": objects}

    def receive(self, oid: str, content: bytes) -> tuple[int, object]:
        if hashlib.sha256(content).hexdigest() != oid:
            return 400, {"error": "the content is not that of its hash"}
        self.objects[oid] = content
        return 200, {}

    def commit(self, name: str, lines: list[dict[str, Any]]) -> tuple[int, object]:
        repository = self.repositories[name]
        if self.refuses is not None:
            return self.refuses, {"error": "the commit is refused"}
        for line in lines:
            kind, value = line["key"], line["value"]
            if kind == "header":
                repository.commits.append(value["summary"])
            elif kind == "file":
                repository.files[value["path"]] = base64.b64decode(value["content"])
            elif kind == "lfsFile":
                repository.files[value["path"]] = self.objects[value["oid"]]
            elif kind == "deletedFile":
                del repository.files[value["path"]]
            else:
                return 400, {"error": f"unknown operation {kind}"}
        oid = hashlib.sha1(str(len(repository.commits)).encode()).hexdigest()
        return 200, {"commitUrl": f"{self.address}/{name}/commit/{oid}", "commitOid": oid}

    def files_of(self, repository: Repository, names: list[str] | None) -> tuple[int, object]:
        found = [
            {"type": "file", "path": path, "size": len(content), "oid": "0" * 40}
            for path, content in repository.files.items()
            if names is None or path in names
        ]
        return 200, found

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, object]:
        """(status, answer) of a request."""
        parts = path.strip("/").split("/")
        match method, parts:
            case "POST", ["api", "repos", "create"]:
                return self.create(json.loads(body))
            case "POST", ["api", "validate-yaml"]:
                return _validated(json.loads(body)["content"])
            case "PUT", ["lfs", oid]:
                return self.receive(oid, body)
            case "POST", [_, _, "info", "lfs", "objects", "batch"]:
                return self.lfs_actions(json.loads(body))
            case _, ["api", "models", user, name, *rest] if f"{user}/{name}" in self.repositories:
                return self._of_repository(f"{user}/{name}", method, rest, body)
        return 404, {"error": "Repository not found"}

    def _of_repository(
        self, name: str, method: str, rest: list[str], body: bytes
    ) -> tuple[int, object]:
        repository = self.repositories[name]
        match method, rest:
            case "GET", []:
                return 200, {"id": name, "private": repository.private, "sha": "0" * 40}
            case "GET", ["tree", _]:
                return self.files_of(repository, None)
            case "POST", ["paths-info", _]:
                return self.files_of(repository, parse_qs(body.decode())["paths"])
            case "POST", ["preupload", _]:
                return self.upload_modes(json.loads(body))
            case "POST", ["commit", _]:
                return self.commit(name, [json.loads(one) for one in body.splitlines()])
        return 404, {"error": "Entry not found"}


def _validated(card: str) -> tuple[int, object]:
    """As the Hub checks a card's metadata: they are YAML, and the licence is one it knows."""
    import yaml

    metadata = yaml.safe_load(card.split("---\n")[1])
    known = {"apache-2.0", "mit", "other", "cc-by-4.0"}
    if metadata.get("license") not in known:
        return 400, {"errors": [{"message": '"license" must be one of the Hub'}], "warnings": []}
    return 200, {"errors": [], "warnings": []}


@contextmanager
def serving(hub: HubStandIn) -> Iterator[HubStandIn]:
    """The stand-in behind a port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(hub: HubStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            path, body = urlsplit(self.path).path, _body(self)
            hub.asked.append(f"{self.command} {path}")
            status, answer = hub.answer(self.command, path, body)
            is_upload = path.startswith("/lfs/")  # its address is its own permission
            if not is_upload and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                status, answer = 401, {"error": "Invalid username or password."}
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = _answer

        def log_message(self, format: str, *args: object) -> None:
            return None

    return Handler


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    """What was sent, of a known length or in chunks."""
    headers, stream = handler.headers, handler.rfile
    if headers.get("Transfer-Encoding") != "chunked":
        return stream.read(int(headers.get("Content-Length") or 0))
    content = b""
    while size := int(stream.readline().split(b";")[0], 16):
        content += stream.read(size)
        stream.readline()
    stream.readline()
    return content
