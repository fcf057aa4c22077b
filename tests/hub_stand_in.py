"""A stand-in for the Hugging Face hub on 127.0.0.1, serving repositories of files."""

from __future__ import annotations

import hashlib
import io
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

REVISION = "0123456789abcdef0123456789abcdef01234567"

CARD = """---
configs:
- config_name: sst2
  data_files:
  - split: train
    path: sst2/train-*
  - split: validation
    path: sst2/validation-*
dataset_info:
- config_name: sst2
  features:
  - name: sentence
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': positive
          '1': negative
  - name: idx
    dtype: int32
---
"""
"""The ids are the other way round than in the task's table: the names must decide."""


def _parquet(texts: list[str], labels: list[int]) -> bytes:
    sink = io.BytesIO()
    columns = {
        "sentence": texts,
        "label": pa.array(labels, pa.int64()),
        "idx": pa.array(range(len(texts)), pa.int32()),
    }
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


Repositories = Mapping[str, Mapping[str, bytes]]
"""``datasets/OWNER/NAME`` or ``models/NAME`` to path to content."""

GLUE: Repositories = {
    "datasets/nyu-mll/glue": {
        "README.md": CARD.encode(),
        "sst2/train-00000-of-00001.parquet": _parquet(["good", "bad", "fine"], [0, 1, 0]),
        "sst2/validation-00000-of-00001.parquet": _parquet(["nice", "dull"], [0, 1]),
    }
}


def _entry(path: str, content: bytes) -> dict[str, object]:
    return {
        "type": "file",
        "path": path,
        "rfilename": path,
        "size": len(content),
        "oid": hashlib.sha1(content).hexdigest(),
    }


def _listing(files: Mapping[str, bytes], folder: str) -> list[dict[str, object]]:
    """What lies directly in a folder; the root is the empty name."""
    names = [name for name in files if name.rpartition("/")[0] == folder]
    folders = sorted({name.partition("/")[0] for name in files if "/" in name and not folder})
    return [
        *({"type": "directory", "path": name, "oid": REVISION, "size": 0} for name in folders),
        *(_entry(name, files[name]) for name in names),
    ]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    repositories: ClassVar[Repositories]

    def log_message(self, *_: object) -> None:
        """Silence."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        files, _ = self._find(f"{unquote(self.path)}/")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        asked = re.findall(r"paths=([^&]+)", body) or json.loads(body or "{}").get("paths", [])
        paths = [unquote(path) for path in ([asked] if isinstance(asked, str) else asked)]
        found = [_entry(path, files[path]) for path in paths if path in files]
        self._send(json.dumps(found).encode())

    def _find(self, path: str) -> tuple[Mapping[str, bytes], str]:
        """The repository that a path speaks of and what follows its name; models have no prefix."""
        wanted = path.removeprefix("/api").removeprefix("/")
        for name, files in self.repositories.items():
            for prefix in (name, name.removeprefix("models/")):
                if wanted == prefix or wanted.startswith(f"{prefix}/"):
                    return files, wanted.removeprefix(prefix).removeprefix("/")
        return {}, ""

    def _answer(self) -> None:
        path = unquote(self.path.partition("?")[0])
        files, rest = self._find(path)
        action, _, tail = rest.partition("/")
        if not files:
            self._send(None)
        elif path.startswith("/api/") and action in ("", "revision"):
            info = {
                "id": path.removeprefix("/api/").partition("/")[2],
                "sha": REVISION,
                "private": False,
                "tags": [],
                "siblings": [_entry(name, content) for name, content in files.items()],
            }
            self._send(json.dumps(info).encode())
        elif action == "tree":
            found = _listing(files, tail.partition("/")[2])
            self._send(json.dumps(found).encode() if found else None)
        elif action == "resolve":
            self._send(files.get(tail.partition("/")[2]), kind="application/octet-stream")
        else:
            self._send(None)

    def _send(self, content: bytes | None, kind: str = "application/json") -> None:
        body = b'{"error": "not found"}' if content is None else content
        self.send_response(404 if content is None else 200)
        if content is None:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def hub(repositories: Repositories = GLUE) -> Iterator[str]:
    """The address of a running stand-in."""
    handler = type("Handler", (_Handler,), {"repositories": repositories})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
