"""Which models are meant by a folder, a pattern, a list; which belong together; where they go."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from odd_models import Odd, documents
from running import cli
from tiny_models import save_dense

from prelu_tools.batch.lists.jobs import export_jobs, verify_jobs
from prelu_tools.batch.lists.models import Found, expand, is_many, place_of
from prelu_tools.batch.lists.outputs import outputs_of
from prelu_tools.batch.lists.pairs import pairs_of
from prelu_tools.batch.lists.tables import Row
from prelu_tools.commands.export.request import ExportRequest
from prelu_tools.commands.verify.request import VerifyRequest
from prelu_tools.core.errors import PReLUToolsError, UsageError


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of files that are empty: nothing is opened."""
    for name in (
        "a.onnx", "a.onnx.data", "b.keras", "sub/c.onnx", "sub/w.weights.h5", ".hidden/d.onnx",
        ".e.onnx", "saved/saved_model.pb", "saved/variables/x.h5", "notes.md", "pom.xml",
    ):  # fmt: skip
        file = tmp_path / "batch" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_has_the_models_below_it(tree: Path) -> None:
    found = expand(["batch/"], "inspect")
    assert [one.text for one in found] == [
        "batch/a.onnx", "batch/b.keras", "batch/saved",
        "batch/sub/c.onnx", "batch/sub/w.weights.h5",
    ]  # fmt: skip
    assert [one.place for one in found] == ["a", "b", "saved", "sub/c", "sub/w"]
    assert "batch/sub/w.weights.h5" not in [one.text for one in expand(["batch"], "export")]


def test_files_of_a_runtime_are_not_exported(tree: Path) -> None:
    (tree / "batch/d.tflite").touch()
    assert "batch/d.tflite" in [one.text for one in expand(["batch"], "inspect")]
    assert "batch/d.tflite" in [one.text for one in expand(["batch"], "verify")]
    assert "batch/d.tflite" not in [one.text for one in expand(["batch"], "export")]


def test_a_pattern_means_what_fits_and_each_model_once(tree: Path) -> None:
    found = expand(["batch/**/*.onnx", "batch/a.onnx"], "inspect")
    assert [(one.text, one.place) for one in found] == [
        ("batch/a.onnx", "a"),
        ("batch/sub/c.onnx", "sub/c"),
    ]
    weights = expand(["nets.py:Net(3)@batch/sub/*.h5"], "inspect")
    assert [(one.text, one.place) for one in weights] == [
        ("nets.py:Net(3)@batch/sub/w.weights.h5", "w")
    ]


def test_what_is_one_model_and_what_is_many(tree: Path) -> None:
    (tree / "odd[1].onnx").touch()
    one = (
        "batch/saved",
        "batch/a.onnx",
        "odd[1].onnx",
        "nets.py:Net(x=[1, 2])",
        "gone.onnx",
        "https://h/a.onnx?b=c",
    )
    assert [text for text in one if is_many(text)] == []
    many = (
        "batch",
        "batch/*.onnx",
        "list.csv",
        "nets.py:Net@w/*.pt",
        "https://h/batch/",
        "s3://b/*.onnx",
    )
    assert [text for text in many if not is_many(text)] == []


def test_the_log_in_the_folder_of_a_training_is_named(tmp_path: Path) -> None:
    (tmp_path / "slopes.jsonl").touch()
    found = cli("inspect", tmp_path)
    assert found.code == 3
    assert f"use its log, {tmp_path}/slopes.jsonl" in found.words


@pytest.mark.parametrize("text", ["batch/*.pt2", "empty", "list.txt"])
def test_what_means_nothing_is_no_verdict(text: str, tree: Path) -> None:
    (tree / "empty").mkdir()
    (tree / "list.txt").write_text("# none yet\n\n")
    with pytest.raises(
        PReLUToolsError, match=r"matches no file|contains no models|lists no models"
    ):
        expand([text], "inspect")
    assert cli("inspect", text).code == 3
    assert cli("export", text, "-o", "out/").code == 3
    assert cli("verify", "batch/a.onnx", text).code == 3


def test_lists_in_each_spelling(tree: Path) -> None:
    (tree / "batch/list.txt").write_text(
        "a.onnx\n# a comment\nnets.py:Net@w.pt\npackage.module:net\n"
    )
    (tree / "batch/list.csv").write_text("name,source,output\nfirst,a.onnx,out/a.onnx\n,b.keras,\n")
    (tree / "batch/list.toml").write_text('[[models]]\nsource = "/tmp/x.onnx"\nname = "x"\n')
    texts = [one.text for one in expand(["batch/list.txt"], "inspect")]
    assert texts == ["batch/a.onnx", "batch/nets.py:Net@batch/w.pt", "package.module:net"]
    request = ExportRequest("", Path())
    jobs = export_jobs(["batch/list.csv", "batch/list.toml"], "out/", request).jobs
    assert [(job.name, job.path, str(job.output), job.file, job.line) for job in jobs] == [
        ("first", "batch/a.onnx", "batch/out/a.onnx", "batch/list.csv", 2),
        ("batch/b.keras", "batch/b.keras", "out/b.onnx", "batch/list.csv", 3),
        ("x", "/tmp/x.onnx", "out/x.onnx", "batch/list.toml", 1),
    ]


def test_a_row_means_what_it_would_on_the_command_line(tree: Path) -> None:
    (tree / "list.csv").write_text(
        "name,source\nall,batch/**/*.onnx\n,gone/*.onnx\none,batch/sub/c.*\n,batch/*.onnx\n"
    )
    found = cli("inspect", "list.csv", "--jobs", "0", "--format", "json")
    assert [(one["name"], one["line"]) for one in found.json["models"]] == [
        ("all: batch/a.onnx", 2),
        ("all: batch/sub/c.onnx", 2),
        ("gone/*.onnx", 3),
        ("one", 4),
    ]
    assert found.json["models"][2]["error"] == "gone/*.onnx matches no file"


def test_a_model_may_be_listed_twice_for_two_places(tree: Path) -> None:
    (tree / "list.csv").write_text(
        "name,source,output\n,batch/a.onnx,x.onnx\n,batch/a.onnx,y.onnx\n,batch/*.onnx,x.onnx\n"
    )
    jobs = export_jobs(["list.csv"], None, ExportRequest("", Path())).jobs
    assert [(job.name, str(job.output)) for job in jobs] == [
        ("batch/a.onnx", "x.onnx"),
        ("batch/a.onnx (2)", "y.onnx"),
    ]


def test_a_list_in_a_folder_that_looks_like_a_pattern(tree: Path) -> None:
    (tree / "a[1]").mkdir()
    (tree / "a[1]/net.onnx").touch()
    (tree / "a[1]/list.txt").write_text("*.onnx\nnone*\n")
    found = expand(["a[1]/list.txt"], "inspect")
    assert [(one.text, one.problem) for one in found] == [
        ("a[1]/net.onnx", None),
        ("a[1]/none*", "a[1]/none* matches no file"),
    ]


def test_names_of_rows_are_kept_and_may_not_be_the_same(tree: Path) -> None:
    (tree / "list.csv").write_text("name,source\n,batch/a.onnx\nbatch/a.onnx,batch/sub/c.onnx\n")
    found = cli("inspect", "list.csv", "--jobs", "0", "--format", "json")
    assert [one["name"] for one in found.json["models"]] == ["batch/a.onnx (2)", "batch/a.onnx"]
    (tree / "list.csv").write_text("name,source\nx,batch/a.onnx\nx,batch/sub/c.onnx\n")
    twice = cli("inspect", "list.csv")
    assert (twice.code, "list.csv: 2 lines have the name 'x'" in twice.words) == (2, True)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "a.csv",
            "sorce\na.onnx\n",
            "a.csv, line 2: unknown key 'sorce'; did you mean 'source'?",
        ),
        ("a.csv", "source\na.onnx,b\n", "more cells"),
        ("a.csv", "name,source\nx,\n", "missing key 'source', which every line needs"),
        ("a.toml", "[[models]]\nsource = 3\n", "source is 3; expected text that is not empty"),
        (
            "a.toml",
            "models = 3\nchecks = 3",
            "a.toml has models and checks: expected [[mo",
        ),
        ("a.toml", "models = 3", "a.toml: models is 3; expected tables [[models]]"),
        ("a.toml", "[[", "not a TOML file"),
        ("a.txt", b"\xff\xfe", "not UTF-8"),
    ],
)
def test_lists_that_make_no_sense(
    name: str, content: str | bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError) as error:
        expand([name], "inspect")
    assert said in str(error.value)
    assert cli("inspect", name).code == 2


def _touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def _pairs(reference: str, *candidates: str) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(one.name, one.reference, one.candidates) for one in pairs_of(reference, candidates)]


def _jobs(reference: str, *candidates: str) -> list[tuple[str, str, tuple[str, ...]]]:
    jobs = verify_jobs(VerifyRequest(reference, candidates)).jobs
    return [(job.name, job.path, job.candidates) for job in jobs]


def test_pairs_by_what_names_have_in_common(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _touch("k/a.keras", "k/b.keras", "o/a.onnx", "o/c.onnx")
    assert _pairs("k/{stem}.keras", "o/{stem}.onnx") == [
        ("a", "k/a.keras", ("o/a.onnx",)),
        ("b", "k/b.keras", ("o/b.onnx",)),
        ("c", "k/c.keras", ("o/c.onnx",)),  # no reference: an error, never passed over
    ]
    for reference in ("k/*.keras", "k/"):
        assert _pairs(reference, "o/{stem}.onnx") == [
            ("k/a.keras", "k/a.keras", ("o/a.onnx",)),
            ("k/b.keras", "k/b.keras", ("o/b.onnx",)),
        ]
    _touch("w/Net.pt")
    assert _pairs("nets.py:{stem}@w/{stem}.pt", "{stem}/{stem}.onnx") == [
        ("Net", "nets.py:Net@w/Net.pt", ("Net/Net.onnx",))
    ]


def test_pairs_of_two_folders_of_one_reference_and_of_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _touch("k/a.keras", "k/s/b.keras", "o/a.onnx", "o/s/b.onnx", "o/c.onnx")
    assert _pairs("k", "o/") == [
        ("a", "k/a.keras", ("o/a.onnx",)),
        ("s/b", "k/s/b.keras", ("o/s/b.onnx",)),
        ("c", "k/c", ("o/c.onnx",)),
    ]
    assert _jobs("k/a.keras", "o/*.onnx") == [
        ("k/a.keras o/a.onnx", "k/a.keras", ("o/a.onnx",)),
        ("k/a.keras o/c.onnx", "k/a.keras", ("o/c.onnx",)),
    ]
    Path("l.toml").write_text('[[models]]\nreference = "k/a.keras"\ncandidates = ["x", "y"]\n')
    assert _jobs("l.toml") == [("k/a.keras", "k/a.keras", ("x", "y"))]
    Path("o/l.csv").write_text("reference,candidate,samples\n../k/a.keras,*.onnx,3\n")
    assert _jobs("o/l.csv") == [("o/../k/a.keras", "o/../k/a.keras", ("o/a.onnx", "o/c.onnx"))]
    (job,) = verify_jobs(VerifyRequest("o/l.csv", (), seed=7)).jobs
    assert isinstance(job.work, VerifyRequest)
    assert (job.work.samples, job.work.seed) == (3, 7)
    _touch("k/a.onnx")
    with pytest.raises(UsageError, match="the same name"):
        _pairs("k", "o")


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (["*.keras", "a.onnx"], "cannot tell which candidate"),
        (["{stem}.keras", "a.onnx"], "cannot tell which candidate"),
        (["a.keras", "{stem}.onnx"], "which is filled in from the reference"),
        (["batch.csv", "a.onnx"], "already lists the pairs"),
        (["nets.py:{stem}", "a.onnx"], "has to be part of the path"),
        (["*.keras"], "no candidate to compare"),
        (["list.txt"], "it names one model: verify needs a list with a reference"),
    ],
)
def test_what_cannot_be_paired(
    sources: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.txt").write_text("a.onnx\n")
    with pytest.raises(UsageError, match=said):
        _jobs(*sources)
    assert cli("verify", *sources).code == 2


def test_where_exports_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    row = Row("l.csv", "line 2", 2, {}, {"output": "x/c.onnx"})
    found = [Found("m/a.keras", "a"), Found("m/s/b.pt2", "s/b"), Found("c", "c", row)]
    assert outputs_of(found, "out") == [Path("out/a.onnx"), Path("out/s/b.onnx"), Path("x/c.onnx")]
    assert outputs_of(found[:1], "out/{stem}_18.onnx") == [Path("out/a_18.onnx")]
    assert Path("out/s").is_dir()
    for wrong, output, said in (
        ([*found, Found("m/a.pt2", "a")], "out", "would both be written to out/a.onnx"),
        (found, "one.onnx", "is a single file, but there are several models"),
        (found, None, "there is no output file for"),
    ):
        with pytest.raises(UsageError, match=said):
            outputs_of(wrong, output)
    assert place_of("nets.py:Net(3)") == "Net"


def test_present_meanings_stay(tmp_path: Path) -> None:
    odd = Odd(tmp_path)
    first, second, third = odd.nets(3)
    assert cli("inspect", first, "--format", "json").json["kind"] == "inspect"
    assert cli("inspect", first, second, "--format", "json").json["kind"] == "inspect-compare"
    each = cli("inspect", first, second, "--each", "--format", "json").json
    alone = [cli("inspect", net, "--format", "json").json for net in (first, second)]
    assert (each["kind"], documents(each)) == ("inspect-many", alone)
    assert cli("verify", first, second, third, "--format", "json").json["kind"] == "verify"
    assert cli("inspect", first, second, "--jobs", "2").code == 2
    assert cli("inspect", first, second, third, "--plot", "x.png").code == 2
    assert cli("export", first).code == 2
    assert cli("inspect", first, "--resume").code == 2
    assert cli("inspect", first, "--jobs", "2", "--dask", "tcp://127.0.0.1:1").code == 2
    assert cli("inspect", first, "--memory-limit", "much").code == 2
    assert cli("inspect", first, "--jobs", "0", "--timeout", "9").code == 2
    assert cli("inspect", first, "--jobs", "0", "--dask", "local").code == 2


def test_each_shows_every_model_by_itself(tmp_path: Path) -> None:
    first, second = Odd(tmp_path).nets(2)
    found = cli("inspect", first, second, "--each")
    alone = [cli("inspect", net).out for net in (first, second)]
    assert found.code == 0
    assert found.out.startswith(f"{alone[0]}\n{alone[1]}")
    assert found.out.endswith("OK  2 models, 2 ok\n")


def test_axis_orders_and_inputs_follow_each_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _touch("k/a.onnx", "k/b.onnx", "o/a.onnx", "o/b.onnx")
    orders = {"k": "nchw", "o/b.onnx": "nhwc", "candidate": "nchw"}
    asked = VerifyRequest("k", ("o",), layouts=orders, inputs_file=Path("in/{stem}.npz"))
    works = [cast(VerifyRequest, job.work) for job in verify_jobs(asked).jobs]
    assert [str(work.inputs_file) for work in works] == ["in/a.npz", "in/b.npz"]
    assert [dict(work.layouts) for work in works] == [
        {"k/a.onnx": "nchw", "candidate": "nchw"},
        {"k/b.onnx": "nchw", "o/b.onnx": "nhwc", "candidate": "nchw"},
    ]


@pytest.mark.parametrize(
    "sources",
    [("k", "o"), ("k/*.onnx", "o/{stem}.onnx"), ("l.csv",), ("k/a.onnx", "o/a.onnx")],
    ids=" ".join,
)
def test_an_axis_order_for_no_model_of_the_checks_is_refused(
    sources: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("k/a.onnx", "o/a.onnx"):
        Path(name).parent.mkdir()
        save_dense(Path(name))
    Path("l.csv").write_text("reference,candidate\nk/a.onnx,o/a.onnx\n")
    found = cli("verify", *sources, "--layout", "k/b.onnx=nchw")
    assert (found.code, found.out) == (2, "")
    assert "--layout has 'k/b.onnx', which is not a model of the check" in found.err
    lone = cli("verify", *sources, "--layout", "k/a.onnx=nchw")
    assert (lone.code, lone.out) == (2, "")
    assert "--layout has an axis order for 'k/a.onnx' only" in lone.words
    assert "add candidate=nchw or candidate=nhwc, or leave it out" in lone.words
    both = ("--layout", "k/a.onnx=nchw", "--layout", "candidate=nchw")
    assert cli("verify", *sources, "--jobs", "0", *both).code == 0


def test_what_would_be_ignored_is_refused_where_nothing_matches_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("l.csv").write_text("reference,candidate,power,min_power\nno*.onnx,{stem}.x,false,1\n")
    found = cli("verify", "l.csv")
    assert (found.code, "min_power would be ignored" in found.err) == (2, True)
