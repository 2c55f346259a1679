"""Node as a process: what goes wrong in it is an error in a sentence; it never stays behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_node import use_fakes

from prelu_tools.backends.runtimes.onnxruntime_web.installed import installed
from prelu_tools.backends.runtimes.onnxruntime_web.process import NodeProcess
from prelu_tools.core.errors import PReLUToolsError

_ECHO = """
import os
while True:
    asked = ask()
    if asked["kind"] == "load":
        answer({"session": len(asked["parts"][0])})
    elif asked["kind"] == "run":
        kinds = [{"dtype": one["dtype"], "shape": one["shape"]} for one in asked["inputs"]]
        answer({"outputs": kinds}, asked["parts"])
    else:
        answer({})
"""


def _process(
    monkeypatch: pytest.MonkeyPatch, folder: Path, body: str, seconds: float = 60.0
) -> NodeProcess:
    use_fakes(monkeypatch, folder, body)
    return NodeProcess(installed(""), seconds)


def _load(process: NodeProcess) -> None:
    with process.session(b"model", "net.onnx"):
        pass


def test_tensors_go_there_and_back_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    process = _process(monkeypatch, tmp_path, _ECHO)
    bits = np.array([0x7FC00001, 0xFFC12345, 0x80000000, 1], np.uint32)
    feeds = {
        "`$(touch x)`; --eval": bits.view(np.float32).reshape(2, 2),
        "__proto__": np.array(3, np.int64),
        "nothing": np.zeros((0, 4), np.float16),
        "\u2028 \N{PILE OF POO} \x00": np.array([True, False]),
    }
    with process.session(b"model", "net.onnx") as session:
        found = session.run(feeds, [f"out {name}" for name in feeds])
    for name, values in feeds.items():
        result = found[f"out {name}"]
        assert (result.dtype, result.shape) == (values.dtype, values.shape)
        assert result.tobytes() == values.tobytes()
        assert result.flags.writeable
    process.close()


@pytest.mark.parametrize(("body", "said"), [
    ("sys.exit(7)", r"node ended \(exit code 7\): it gave no message"),
    ("import os; os.abort()", r"node ended \(signal 6\)"),
    ("ask(); print('FATAL: no memory', file=sys.stderr); sys.exit(5)", "FATAL: no memory"),
    ("ask(); sys.stdout.buffer.write(b'{')", "node ended"),
    ("ask(); sys.stdout.write('not an answer at all')", "node ended"),
    ("ask(); answer({'error': 'Error: ERROR_CODE: 1, ERROR_MESSAGE: no  such\\n opset'})",
     r"onnxruntime-web 1\.30\.0 cannot load net\.onnx: no such opset"),
    ("ask(); sys.stdout.buffer.write(struct.pack('<I', 2) + b'{}'); sys.stdout.flush()",
     "node ended"),
])  # fmt: skip
def test_what_goes_wrong_there_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str, said: str
) -> None:
    process = _process(monkeypatch, tmp_path, body)
    with pytest.raises(PReLUToolsError, match=said):
        _load(process)
    process.close()


def test_one_that_does_not_answer_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = "import time\nask()\nwhile True: time.sleep(1)"
    process = _process(monkeypatch, tmp_path, body, seconds=0.5)
    with pytest.raises(PReLUToolsError, match=r"cannot load net\.onnx: no answer within 0\.5 s"):
        _load(process)
    assert process._process is None


def test_one_that_reads_nothing_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    process = _process(monkeypatch, tmp_path, "import time; time.sleep(600)", seconds=0.5)
    with (
        pytest.raises(PReLUToolsError, match="no answer within"),
        process.session(bytes(4 << 20), "net.onnx"),
    ):
        pass


def test_it_is_started_again_after_it_has_failed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mark = tmp_path / "was here"
    body = f"import os\nif not os.path.exists({str(mark)!r}): open({str(mark)!r}, 'w'); sys.exit(1)"
    process = _process(monkeypatch, tmp_path, body + _ECHO)
    with pytest.raises(PReLUToolsError, match="exit code 1"):
        _load(process)
    _load(process)
    process.close()


def test_a_model_that_is_too_large_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("prelu_tools.backends.runtimes.onnxruntime_web.process._LARGEST_MODEL", 10)
    process = _process(monkeypatch, tmp_path, "sys.exit(7)")
    with (
        pytest.raises(PReLUToolsError, match="has 11 bytes: onnxruntime-web takes 10"),
        process.session(bytes(11), "net.onnx"),
    ):
        pass


def test_it_ends_with_its_block_and_with_its_owner(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    process = _process(monkeypatch, tmp_path, _ECHO)
    _load(process)
    running = process._process
    assert running is not None
    assert running.poll() is None
    process.close()
    assert running.poll() is not None
    process.close()  # once more is nothing
