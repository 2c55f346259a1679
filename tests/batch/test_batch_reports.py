"""Many models in each format: every model is seen, none that failed looks like a pass."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import onnx
import pytest
from odd_models import Odd
from running import cli
from tiny_models import save_dense, save_prelu, save_relu

from prelu_tools.core.errors import UsageError
from prelu_tools.core.results.batch import BatchEntry, BatchResult
from prelu_tools.reports import Style, render

HOSTILE = "a\x1b[31m<script>alert(1)</script>|`b"


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("batch")
    Odd(folder).nets(2)
    save_relu(folder / "nets" / "relu.onnx")
    save_prelu(folder / "nets" / "nan.onnx", slopes=(float("nan"), float("inf"), 1.0))
    (folder / "nets" / "bad.onnx").write_bytes(b"nonsense")
    return folder / "nets"


@pytest.fixture(scope="module")
def written(batch: Path) -> dict[str, str]:
    """The batch in each format that `inspect` has."""
    forms = ("table", "json", "markdown", "csv", "html")
    options = [f"--report={form}={batch.parent / form}" for form in forms]
    found = cli("inspect", batch, *options, "-q", "--fail-on", "error")
    assert (found.code, found.out) == (1, "")
    return {form: (batch.parent / form).read_text(encoding="utf-8") for form in forms}


def test_the_table_has_a_line_a_model_and_what_is_wrong(written: dict[str, str]) -> None:
    lines = written["table"].replace("\n", " \n").splitlines()
    assert max(map(len, lines)) <= 81
    text = " ".join(written["table"].split())
    assert "FAIL 5 models, 2 ok, 1 with warnings, 1 failed, 1 error" in text
    assert "warning no_prelu in 1 model:" in text
    assert re.search(
        r"fail \S+nan\.onnx \S+ has findings that --fail-on error rejects: non_finite", text
    )
    assert re.search(r"error \S+bad\.onnx", text)


def test_the_documents_are_those_of_each_model(written: dict[str, str], batch: Path) -> None:
    document = json.loads(written["json"])
    assert document["kind"] == "inspect-many"
    assert document["summary"] == {"ok": 3, "fail": 1, "error": 1}
    names = ["bad", "nan", "net0", "net1", "relu"]
    for name, model in zip(names, document["models"], strict=True):
        path = batch / f"{name}.onnx"
        assert (model["name"], model["path"]) == (str(path), str(path))
        if name == "bad":
            assert model["document"] is None
            assert "is not an ONNX model" in model["error"]
        else:
            assert model["document"] == cli("inspect", path, "--format", "json").json


def test_the_rows_are_those_of_each_model(written: dict[str, str], batch: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(written["csv"])))
    assert [Path(row["model"]).stem for row in rows] == ["bad", "nan", "net0", "net1", "relu"]
    (alone,) = csv.DictReader(
        io.StringIO(cli("inspect", batch / "net1.onnx", "--format", "csv").out)
    )
    together = rows[3]
    assert (together.pop("status"), together.pop("error")) == ("ok", "")
    assert together == alone
    assert rows[0]["error"]
    assert rows[1]["max"] == "NaN"
    assert rows[4]["findings"] == "no_prelu"


def test_the_markdown_and_the_page_have_every_model(written: dict[str, str]) -> None:
    assert "5 models, 2 ok, 1 with warnings, 1 failed, 1 error" in written["markdown"]
    for name in ("bad", "nan", "net0", "net1", "relu"):
        assert f"{name}.onnx" in written["markdown"]
        assert f"{name}.onnx" in written["html"]
    table = written["html"].partition("<table")[2].partition("</table>")[0]
    assert table.count("<tr>") == 6
    assert table.count('href="#check-') == 5
    assert all(f'id="check-{place}"' in written["html"] for place in range(1, 6))
    assert "has findings that --fail-on error rejects" in written["html"]


def test_each_shows_the_report_of_each_model(batch: Path) -> None:
    for sources in ([batch], [batch / "net0.onnx", batch / "net1.onnx"]):
        found = cli("inspect", *sources, "--each").words
        for name in ("net0", "net1"):
            assert re.search(rf"{name}\.onnx onnx, opset", found)


def _many(*entries: BatchEntry) -> BatchResult:
    return BatchResult("verify", entries, notes=(HOSTILE,))


def _entry(status: Any, name: str = "net") -> BatchEntry:
    return BatchEntry(name, name, status, None, (f"why {name}",))


def test_junit_has_a_case_a_model_and_no_silent_pass() -> None:
    statuses = ("fail", "inconclusive", "error")
    result = _many(*(_entry(status, status) for status in statuses))
    root = ElementTree.fromstring(render(result, "junit", Style()))
    assert root.attrib["failures"] == "1"
    assert root.attrib["errors"] == "2"
    assert [suite.get("name") for suite in root.iter("testsuite")] == list(statuses)
    (empty,) = ElementTree.fromstring(render(_many(), "junit", Style())).iter("testcase")
    assert empty.find("error") is not None


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ((), 3),
        (("pass", "pass"), 0),
        (("pass", "inconclusive"), 3),
        (("pass", "error"), 3),
        (("error", "fail", "pass"), 1),
    ],
)
def test_the_worst_decides(statuses: tuple[str, ...], code: int) -> None:
    result = _many(*(_entry(status, str(i)) for i, status in enumerate(statuses)))
    assert result.exit_code == code
    text = render(result, "table", Style())
    assert ("PASS" in text) == (code == 0)


def test_names_mean_nothing_but_themselves() -> None:
    result = _many(_entry("error", HOSTILE))
    assert "\x1b" not in render(result, "table", Style())
    assert "\x1b" not in render(result, "markdown", Style())
    assert "\x1b" not in render(result, "junit", Style())
    page = render(result, "html", Style())
    assert "\x1b" not in page
    assert "<script>alert" not in page


def test_csv_is_for_layers() -> None:
    with pytest.raises(UsageError, match="one row for each layer"):
        render(_many(_entry("pass")), "csv", Style())


def test_verify_holds_each_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    odd = Odd(tmp_path)
    odd.nets(3, "left")
    right = odd.nets(2, "right")
    save_dense(right[1], slopes=(0.125, -0.5, 1.0))
    found = cli("verify", "left", "right", "--format", "json", "--report", "junit=j.xml")
    assert found.code == 1
    assert [run["status"] for run in found.json["models"]] == ["pass", "fail", "inconclusive"]
    alone = cli("verify", "left/net1.onnx", "right/net1.onnx", "--format", "json").json
    assert found.json["models"][1]["document"] == alone
    assert "right/net2 cannot be read" in " ".join(found.json["models"][2]["reasons"])
    root = ElementTree.parse("j.xml").getroot()
    assert (root.get("failures"), root.get("errors")) == ("2", "1")
    assert cli("verify", "left", "right", "--save-inputs", "x.npz").code == 2
    assert cli("verify", "left", "right", "--bundle", "b", "-q").code == 1
    assert [path.name for path in Path("b").iterdir()] == ["net1"]


def test_export_writes_each_model_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Odd(tmp_path).nets(2)
    Path("nets/bad.onnx").write_bytes(b"nonsense")
    found = cli("export", "nets", "-o", "out", "--jobs", "2", "--format", "json")
    assert found.code == 3
    assert found.json["kind"] == "export-many"
    assert found.json["summary"] == {"ok": 2, "fail": 0, "error": 1}
    assert sorted(path.name for path in Path("out").iterdir()) == ["net0.onnx", "net1.onnx"]
    alone = cli("export", "nets/net0.onnx", "-o", "out/net0.onnx", "--force", "--format", "json")
    assert found.json["models"][1]["document"] == alone.json
    assert "3 models, 2 ok, 1 error" in cli("export", "nets", "-o", "out", "--force").words


@pytest.mark.parametrize("form", ["table", "json", "csv", "markdown"])
def test_names_of_a_file_steer_no_terminal_and_no_report(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each document is JSON: what is spelled out, or cut, in it has to be so in its texts."""
    monkeypatch.chdir(tmp_path)
    name = "act\x9b2J" + "n" * 5000
    net = save_dense(tmp_path / "net.onnx")
    model = onnx.load(net)
    model.graph.node[-1].name = name
    onnx.save(model, net)
    found = cli("inspect", net, "--results", "r.jsonl", "--format", form)
    assert found.code == 0, found.err
    assert "\x9b" not in found.out
    if form == "json":
        assert found.json["models"][0]["document"]["layers"][0]["nodes"] == [name]
