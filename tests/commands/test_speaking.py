"""Errors name an option as the reader types it: a flag, a keyword of Python, a key of a check."""

from __future__ import annotations

from pathlib import Path

import pytest
from running import cli
from tiny_models import save_dense

from prelu_tools import export, verify
from prelu_tools.commands.speaking import in_check_file, in_python
from prelu_tools.core.errors import UsageError
from prelu_tools.testing import assert_parity

CASES = [
    ("give --force to replace it", "give force=True to replace it", None),
    ("--no-verify writes it anyway", "verify=False writes it anyway", None),
    ("--allow-no-prelu to", "allow_no_prelu=True to", "allow_no_prelu = true to"),
    ("what --no-layers skips", "what layers=False skips", "what layers = false skips"),
    ("give --input x:batch,3,h,112), or", 'give input={"x": ("batch", 3, "h", 112)}), or',
     'give input = ["x:batch,3,h,112"]), or'),
    ("--input v:4", 'input={"v": (4,)}', 'input = ["v:4"]'),
    ("--input x: no such input", "input x: no such input", "input x: no such input"),
    ("--slope-axis -1, or --opset 21", "slope_axis=-1, or opset=21", None),
    ("--dtype float32 or --dtype other", 'dtype="float32" or dtype other', None),
    ("--input-range LOW,HIGH", "input_range=(LOW, HIGH)", 'input_range = { "" = [LOW, HIGH] }'),
    ("--input-range x=LOW,HIGH", 'input_range={"x": (LOW, HIGH)}',
     "input_range = { x = [LOW, HIGH] }"),
    ("--custom-objects layers.py:A", 'custom_objects="layers.py:A"',
     'custom_objects = ["layers.py:A"]'),
    ("--samples 16 and --inputs FILE.npz", 'samples=16 and inputs="FILE.npz"',
     'samples = 16 and inputs = "FILE.npz"'),
    ("--provider cuda", "provider cuda", "providers cuda"),
    ("a--force, --forced, ---force and --update-baseline", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("said", "python", "file"), CASES)
def test_flags_become_keywords_and_keys(said: str, python: str | None, file: str | None) -> None:
    assert in_python(said) == (said if python is None else python)
    assert in_check_file(said) == (said if file is None else file)


def test_the_library_and_the_command_line_say_the_same_in_their_own_words(tmp_path: Path) -> None:
    net = save_dense(tmp_path / "net.onnx")
    found = cli("export", net, "-o", net)
    assert found.code == 2
    assert "give --force to replace it" in found.err
    with pytest.raises(UsageError, match="give force=True to replace it"):
        export(net, net)
    with pytest.raises(UsageError, match=r"^input nothing: .* has no such input"):
        verify(net, net, input={"nothing": (1, 4)})
    with pytest.raises(UsageError, match=r"^input_range nothing: "):
        assert_parity(net, net, input_range={"nothing": (0, 1)})


def test_a_result_speaks_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from onnx import helper
    from tiny_models import save_graph

    node = helper.make_node("Relu", ["x"], ["y"])
    plain = save_graph(tmp_path / "plain.onnx", [node], {"x": ("b", 4)}, {"y": ("b", 4)}, {})
    assert "--allow-no-prelu" in cli("verify", plain, plain).out
    found = verify(plain, plain)
    assert any("allow_no_prelu=True" in reason for reason in found.reasons)
    assert not any("--" in reason for reason in found.reasons)
    (tmp_path / "prelu-tools.toml").write_text(
        '[[checks]]\nreference = "plain.onnx"\ncandidates = ["plain.onnx"]\n'
    )
    monkeypatch.chdir(tmp_path)
    listed = cli("verify")
    assert listed.code == 3
    assert "allow_no_prelu = true" in listed.words
    assert "--allow-no-prelu" not in listed.words
