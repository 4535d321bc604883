"""``metabench data`` against a local server."""

import hashlib
import http.server
import json
import threading

import pytest
from click.testing import CliRunner

from metabench.cli import main

CONTENT = bytes(range(256)) * 400
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the same bytes under every path, but for those that misbehave."""

    def do_GET(self):
        self.server.requests.append((self.path, self.headers.get("Range")))
        if self.path == "/gone":
            self.send_error(404)
            return
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        if start >= len(CONTENT):
            self.send_error(416)
            return
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:70_000] if self.server.cuts_off else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.requests = []
        running.cuts_off = False
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def data(site, tmp_path, monkeypatch):
    """Install a source with the given files; return the folder and a way to call the command."""
    monkeypatch.chdir(tmp_path)
    for variable in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    folder = tmp_path / "data"

    def prepare(*files):
        listed = "".join(f"DataFile(**{file!r}), " for file in files)
        site.install(
            "content",
            f"""
            @hookimpl
            def metabench_task_sources():
                yield TaskSourceInfo(name="photos", summary="s", target="a:b", domain="vision",
                    modality="image", citation="Doe (2020), https://x.org", files=({listed}))
                yield TaskSourceInfo(name="plain", summary="s", target="a:b", domain="vision",
                    modality="image")
            """,
        )
        return folder

    prepare.call = lambda *arguments: CliRunner().invoke(
        main, ["data", *arguments, "--data", str(folder)]
    )
    return prepare


def url(server, path):
    return f"http://127.0.0.1:{server.server_port}{path}"


def test_fetch_verifies_and_does_not_fetch_again(data, server):
    folder = data({"path": "vision/p.bin", "url": url(server, "/p"), "sha256": SHA256})
    assert "missing" in data.call("list").stdout
    assert data.call("check").exit_code == 0
    assert data.call("check", "photos").exit_code == 1
    result = data.call("fetch", "photos")
    assert result.exit_code == 0, result.output
    assert (folder / "vision" / "p.bin").read_bytes() == CONTENT
    assert "as published" in result.stdout
    assert [p.name for p in (folder / "vision").iterdir()] == ["p.bin"]
    assert "there already" in data.call("fetch", "--all").stdout
    assert len(server.requests) == 1
    assert json.loads(data.call("check", "photos", "--json").stdout)[0]["state"] == "ok"
    assert json.loads(data.call("list", "--json").stdout)[0]["presence"] == "present"


def test_a_wrong_file_is_found_and_replaced(data, server):
    folder = data({"path": "p.bin", "url": url(server, "/p"), "sha256": SHA256})
    folder.mkdir()
    (folder / "p.bin").write_bytes(b"truncated")
    result = data.call("check")
    assert result.exit_code == 1
    assert "wrong" in result.stdout
    assert data.call("fetch", "photos").exit_code == 0
    assert (folder / "p.bin").read_bytes() == CONTENT


def test_unknown_digest_is_recorded_and_said(data, server):
    folder = data({"path": "a/p.bin", "url": url(server, "/p")})
    result = data.call("fetch", "photos")
    assert f"sha256 {SHA256} (recorded in" in result.stdout
    assert json.loads((folder / "digests.json").read_text()) == {"a/p.bin": SHA256}
    assert data.call("check", "photos").exit_code == 0
    (folder / "a" / "p.bin").write_bytes(b"changed")
    assert data.call("check", "photos").exit_code == 1


def test_other_content_is_never_put_in_place(data, server):
    folder = data({"path": "p.bin", "url": url(server, "/p"), "sha256": "0" * 64})
    folder.mkdir()
    (folder / "p.bin").write_bytes(b"what was there")
    result = data.call("fetch", "photos")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "does not match" in line
    assert (folder / "p.bin").read_bytes() == b"what was there"


def test_an_interrupted_download_is_resumed(data, server):
    folder = data({"path": "p.bin", "url": url(server, "/p"), "sha256": SHA256})
    server.cuts_off = True
    assert data.call("fetch", "photos").exit_code == 1
    assert not (folder / "p.bin").exists()
    kept = (folder / "p.bin.part").stat().st_size
    assert 0 < kept <= 70_000
    server.cuts_off = False
    assert data.call("fetch", "photos").exit_code == 0
    assert server.requests == [("/p", None), ("/p", f"bytes={kept}-")]
    assert (folder / "p.bin").read_bytes() == CONTENT


def test_without_a_known_digest_nothing_is_put_together(data, server):
    folder = data({"path": "p.bin", "url": url(server, "/p")})
    server.cuts_off = True
    assert data.call("fetch", "photos").exit_code == 1
    server.cuts_off = False
    assert data.call("fetch", "photos").exit_code == 0
    assert server.requests == [("/p", None), ("/p", None)]
    assert (folder / "p.bin").read_bytes() == CONTENT


def test_a_stale_partial_file_starts_over(data, server):
    folder = data({"path": "p.bin", "url": url(server, "/p"), "sha256": SHA256})
    folder.mkdir()
    (folder / "p.bin.part").write_bytes(b"x" * (len(CONTENT) + 1))
    assert data.call("fetch", "photos").exit_code == 0
    assert (folder / "p.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("path", ["/gone", None])
def test_failures_are_one_line_and_the_other_files_go_on(data, server, path):
    address = url(server, path) if path else "http://127.0.0.1:9/nothing-listens-here"
    folder = data(
        {"path": "a.bin", "url": address, "sha256": SHA256},
        {"path": "by-hand.bin"},
        {"path": "b.bin", "url": url(server, "/b"), "sha256": SHA256},
    )
    result = data.call("fetch", "photos")
    assert result.exit_code == 1
    first, second = result.stderr.splitlines()
    assert f"photos: a.bin: downloading {address} failed" in first
    assert (
        "photos: by-hand.bin is missing; get it by hand, from Doe (2020), https://x.org" in second
    )
    assert (folder / "b.bin").exists()
    assert not (folder / "a.bin").exists()


def test_files_that_come_by_hand(data):
    folder = data({"path": "dir"}, {"path": "x.csv", "sha256": SHA256})
    (folder / "dir").mkdir(parents=True)
    (folder / "x.csv").write_bytes(b"other")
    states = {f["path"]: f["state"] for f in json.loads(data.call("check", "--json").stdout)}
    assert states == {"dir": "unverified", "x.csv": "wrong"}
    result = data.call("fetch", "photos")
    assert result.exit_code == 1
    assert "photos: x.csv is wrong" in result.stderr


def test_sources_without_files(data):
    data()
    assert "embedded or generated" in data.call("list").stdout
    result = data.call("fetch", "plain")
    assert (result.exit_code, result.stdout) == (0, "nothing to fetch: plain reads no files\n")


def test_damaged_digests(data, server):
    folder = data({"path": "p.bin", "url": url(server, "/p")})
    folder.mkdir()
    (folder / "digests.json").write_text("{")
    result = data.call("check")
    assert result.exit_code == 1
    assert "digests.json cannot be read" in result.stderr
