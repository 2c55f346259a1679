"""Models at a URL: a real server, files of the network's kind, and code that is never fetched."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import onnx
import pytest
from odd_models import Odd, by_status, results
from running import cli
from tiny_models import save_dense

from prelu_tools.backends.remote import downloads, is_url, local_copy, url_identity
from prelu_tools.backends.source_spec import parse_source_spec
from prelu_tools.core.errors import PReLUToolsError, UsageError

fsspec = pytest.importorskip("fsspec")
pytestmark = pytest.mark.dask


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the folder `tmp_path`."""
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_model_of_a_server_is_the_same_under_its_url(server: str, tmp_path: Path) -> None:
    (net,) = Odd(tmp_path).nets(1)
    found = cli("inspect", f"{server}/nets/net0.onnx", "--format", "json").json
    assert found["model"].pop("path") == f"{server}/nets/net0.onnx"
    alone = cli("inspect", net, "--format", "json").json
    del alone["model"]["path"]
    assert found == alone
    held = cli("verify", net, f"{server}/nets/net0.onnx", "--format", "json").json
    assert (held["verdict"], held["candidates"][0]["model"]) == ("pass", f"{server}/nets/net0.onnx")


def test_a_batch_of_urls_goes_on_as_long_as_the_server_has_the_same(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Odd(tmp_path).nets(2)
    Path("list.txt").write_text(
        f"{server}/nets/net0.onnx\n{server}/nets/net1.onnx\n{server}/nets/gone.onnx\n"
    )
    found = cli("inspect", "list.txt", "--results", "r.jsonl", "--format", "json")
    assert found.code == 3
    assert by_status(found.json) == {"net0.onnx": "ok", "net1.onnx": "ok", "gone.onnx": "error"}
    assert found.json["models"][2]["error"] == (
        f"{server}/nets/gone.onnx cannot be read: there is no such file"
    )
    save_dense(Path("nets/net1.onnx"), slopes=(7, 8, 9))
    os.utime("nets/net1.onnx", (1, 1))
    cli("inspect", "list.txt", "--results", "r.jsonl", "--resume")
    names = [line["name"].rpartition("/")[2] for line in results(Path("r.jsonl"))]
    assert names == ["net0.onnx", "net1.onnx", "gone.onnx", "net1.onnx", "gone.onnx"]


def test_external_data_is_fetched_too(server: str, tmp_path: Path) -> None:
    path = save_dense(tmp_path / "net.onnx", slopes=(0.5, 0.25, 0.125))
    external = {"save_as_external_data": True, "location": "weights/w.bin", "size_threshold": 0}
    (tmp_path / "weights").mkdir()
    onnx.save(onnx.load(path), path, **external)
    found = cli("inspect", f"{server}/net.onnx", "--slopes", "--format", "json").json
    assert found["layers"][0]["slopes"] == [0.5, 0.25, 0.125]


def test_patterns_and_folders_of_a_file_system(tmp_path: Path) -> None:
    Odd(tmp_path).nets(2)
    for text in (f"file://{tmp_path}/nets/", f"file://{tmp_path}/nets/*.onnx"):
        found = cli("inspect", text, "--format", "json")
        assert by_status(found.json) == {"net0.onnx": "ok", "net1.onnx": "ok"}
    pairs = (f"file://{tmp_path}/nets/{{stem}}.onnx",) * 2
    assert cli("verify", *pairs, "--format", "json").json["summary"]["pass"] == 2
    assert cli("inspect", f"file://{tmp_path}/nets/*.keras").code == 3


def test_a_file_system_in_memory_and_copies_that_do_not_stay(tmp_path: Path) -> None:
    (net,) = Odd(tmp_path).nets(1)
    memory = fsspec.filesystem("memory")
    memory.pipe("/batch/net.onnx", net.read_bytes())
    url = "memory://batch/net.onnx"
    assert cli("inspect", url).code == 0
    before = url_identity(url)
    with downloads():
        copy = local_copy(url)
        assert copy.read_bytes() == net.read_bytes()
        assert local_copy(url) == copy
    assert not copy.exists()
    memory.pipe("/batch/net.onnx", b"other")
    assert url_identity(url) != before


def test_what_cannot_be_read_is_a_sentence(server: str) -> None:
    for url, said in (
        (f"{server}/gone.onnx", "there is no such file"),
        ("nonsense://x/net.onnx", "Protocol not known"),
        ("http://127.0.0.1:1/net.onnx", "cannot be read"),
    ):
        with pytest.raises(PReLUToolsError, match=said):
            parse_source_spec(url)
        assert cli("inspect", url).code == 3


def test_code_at_a_url_is_refused_before_anything_is_read() -> None:
    for text in ("http://127.0.0.1:1/nets.py:Net", "memory://nets.py", "s3://b/nets.py:Net(1)"):
        with pytest.raises(UsageError, match="never run"):
            parse_source_spec(text)


def test_what_is_a_url() -> None:
    assert all(map(is_url, ("s3://bucket/net.onnx", "https://h/x", "file:///x")))
    assert not any(map(is_url, ("C://net.onnx", "net.onnx", "nets.py:Net", "a/b://c", "")))


class _Endless(SimpleHTTPRequestHandler):
    """Sends without end, and says of no size."""

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        try:
            while True:
                self.wfile.write(bytes(1 << 16))
        except OSError:
            pass


def test_a_copy_has_a_limit(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRELU_TOOLS_MAX_DOWNLOAD", "5000000")
    (tmp_path / "large.onnx").write_bytes(bytes(5_000_001))
    (net,) = Odd(tmp_path).nets(1)
    with downloads():
        assert local_copy(f"{server}/nets/{net.name}").read_bytes() == net.read_bytes()
        with pytest.raises(PReLUToolsError, match="has more than 5,000,000 bytes"):
            local_copy(f"{server}/large.onnx")
        with ThreadingHTTPServer(("127.0.0.1", 0), _Endless) as endless:
            threading.Thread(target=endless.serve_forever, daemon=True).start()
            with pytest.raises(PReLUToolsError, match="has more than 5,000,000 bytes"):
                local_copy(f"http://127.0.0.1:{endless.server_port}/a.onnx")
            endless.shutdown()
        monkeypatch.setenv("PRELU_TOOLS_MAX_DOWNLOAD", "much")
        with pytest.raises(UsageError, match="expected a number of bytes"):
            local_copy(f"{server}/nets/{net.name}?again")
