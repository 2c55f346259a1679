"""A real notebook: Jupyter shows the tables, and errors stay errors."""

from __future__ import annotations

from pathlib import Path

import library_nets
import pytest
from library_nets import SHAPE

nbformat = pytest.importorskip("nbformat")
NotebookClient = pytest.importorskip("nbclient").NotebookClient

_CELLS = (
    "from library_nets import torch_net\nfrom prelu_tools import export, inspect, verify",
    "net = torch_net()",
    f"export(net, 'net.onnx', input={SHAPE!r})",
    f"verify(net, 'net.onnx', input={SHAPE!r})",
    "inspect('net.onnx')",
    "print(inspect('net.onnx'))",
)


@pytest.mark.torch
@pytest.mark.slow
def test_a_notebook_shows_each_result_as_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(library_nets.__file__).parent))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in _CELLS])
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    exported, verified, inspected, printed = (cell.outputs for cell in notebook.cells[2:])
    for outputs in (exported, verified, inspected):
        (output,) = outputs
        assert output.output_type == "execute_result"
        assert "<table>" in output.data["text/html"]
        assert "PReLU" in output.data["text/plain"] or "PASS" in output.data["text/plain"]
    assert ">pass<" in verified[0].data["text/html"]
    (shown,) = printed
    assert (shown.output_type, shown.name) == ("stream", "stdout")
    assert "1 PReLU layer, 4 slopes" in shown.text
