"""`inspect --baseline`: findings that are known fail no model, and new ones do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from running import Outcome, cli
from tiny_models import save_prelu

GATE = ("--fail-on", "warning", "--baseline", "known.json")


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, slopes in (("good", (0.25, 0.5, 0.1)), ("odd", (float("nan"), 0.5, 0.1))):
        save_prelu(tmp_path / f"{name}.onnx", slopes)


def _renew(*sources: str) -> Outcome:
    return cli("inspect", *sources, "--baseline", "known.json", "--update-baseline")


def test_a_known_finding_fails_no_model_and_a_new_one_does() -> None:
    assert cli("inspect", "odd.onnx", "--fail-on", "warning").code == 1
    renewed = _renew("odd.onnx")
    assert renewed.code == 0
    assert "wrote known.json: the findings of 1 model" in renewed.err
    assert cli("inspect", "./odd.onnx", *GATE).code == 0
    found = cli("inspect", "good.onnx", "odd.onnx", "--each", *GATE)
    assert found.code == 0
    save_prelu(Path("good.onnx"), (float("inf"), 0.5, 0.1))
    found = cli("inspect", "good.onnx", *GATE)
    assert found.code == 1
    assert "good.onnx has new findings that --fail-on warning rejects: " in found.err
    assert cli("inspect", "good.onnx", "odd.onnx", "--each", *GATE).code == 1
    assert cli("inspect", "good.onnx", "odd.onnx", *GATE).code == 1  # compared


def test_many_models_are_renewed_together_and_others_are_kept() -> None:
    assert _renew("odd.onnx").code == 0
    save_prelu(Path("other.onnx"), (float("nan"), 0.5, 0.1))
    assert _renew("good.onnx", "other.onnx", "--each").code == 0
    models = json.loads(Path("known.json").read_text())["models"]
    assert sorted(models) == ["good.onnx", "odd.onnx", "other.onnx"]
    assert models["good.onnx"] == []
    assert {one["code"] for one in models["odd.onnx"]} == {
        one["code"] for one in models["other.onnx"]
    }
    before = Path("known.json").read_bytes()
    assert _renew("*.onnx").code == 0
    assert Path("known.json").read_bytes() == before
    Path("broken.onnx").touch()
    found = _renew("*.onnx")
    assert found.code == 3
    assert "known.json was not written: broken.onnx could not be inspected" in found.err
    assert Path("known.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (
            GATE,
            3,
            "the baseline known.json cannot be read: no such file; create it with",
        ),
        (("--baseline", "known.json"), 2, "--baseline would be ignored: use --fail-on"),
        (("--update-baseline",), 2, "it needs --baseline FILE.json"),
        (("--fail-on", "error", "--baseline", "bad.json"), 3, "bad.json is not a baseline"),
        (("--fail-on", "error", "--baseline", "torn.json"), 3, "torn.json is damaged"),
        (("--baseline", "bad.json", "--update-baseline"), 3, "bad.json is not a baseline"),
        (("--baseline", "no/known.json", "--update-baseline"), 2, "there is no folder no"),
    ],
)
def test_what_is_no_baseline_is_refused(options: tuple[str, ...], code: int, words: str) -> None:
    Path("bad.json").write_text('{"kind": "verify-baseline", "schema_version": 1, "checks": {}}')
    torn = {"kind": "inspect-baseline", "schema_version": 1, "models": {"a": [{"code": 1}]}}
    Path("torn.json").write_text(json.dumps(torn))
    found = cli("inspect", "odd.onnx", *options)
    assert found.code == code
    assert words in found.words
