"""Which operators WebGPU has a kernel for in onnxruntime-web: `make webgpu-operators`.

    python -m benchmarks.web.operators build/web [--output FILE]

Loads models of onnx's own node tests, at several opsets, in a headless Chromium with
onnxruntime-web's WebGPU provider, and reads from its log where it puts their nodes; none is run.
Writes a JSON file: for each operator the opsets at which it has a kernel, and those at which not.
"""

from __future__ import annotations

import argparse
import base64
import functools
import http.server
import json
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx.backend.test.case.node import collect_testcases

_ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(_ROOT / "tests/rigs"))
OUTPUT = _ROOT / "prelu_tools/graph/targets/webgpu_operators.json"
_AT_ONCE = 16
_OPSETS = (13, 17, 19, 21, 22, 24)
_MOST = 3  # models of one operator
_LARGEST = 1 << 20
_PLACES = """
const [models, done] = arguments;
(async () => {
  const [ort, { Runtime }] = await Promise.all(
    [import("./ort/ort.webgpu.min.mjs"), import("./running.js")]);
  ort.env.wasm.wasmPaths = new URL("ort/", document.baseURI).href;
  ort.env.wasm.numThreads = 1;
  const runtime = new Runtime(ort, "webgpu");
  const found = [];
  for (const model of models) {
    const bytes = Uint8Array.from(atob(model), (c) => c.charCodeAt(0));
    try {
      found.push(await runtime.with(bytes, async (_, onCpu) => onCpu));
    } catch (error) {
      found.push(null);
    }
  }
  return [ort.env.versions.web, found];
})().then(done, (error) => done([String(error), null]));
"""


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def _cases() -> Iterator[tuple[str, int, bytes]]:
    """One node in floats: its operator, the opset, and the model."""
    count: defaultdict[str, int] = defaultdict(int)
    for case in collect_testcases(None):
        nodes = case.model.graph.node
        kinds = {value.type.tensor_type.elem_type for value in case.model.graph.input}
        plain = len(nodes) == 1 and nodes[0].domain == "" and onnx.TensorProto.FLOAT in kinds
        if not plain or case.model.ByteSize() > _LARGEST or count[nodes[0].op_type] == _MOST:
            continue
        count[nodes[0].op_type] += 1
        for opset in _OPSETS:
            case.model.opset_import[0].version = opset
            case.model.ir_version = 8
            yield nodes[0].op_type, opset, case.model.SerializeToString()


def measured(folder: Path) -> tuple[str, dict[str, dict[str, list[int]]]]:
    """The version, and for each operator the opsets `with` and `without` a kernel.

    Args:
        folder: the built page.
    """
    from browser import SOFTWARE_GPU, chromium

    handler = functools.partial(_Handler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    cases = list(_cases())
    seen: defaultdict[str, dict[int, bool]] = defaultdict(dict)
    version = ""
    with tempfile.TemporaryDirectory() as profile, chromium(Path(profile), SOFTWARE_GPU) as driver:
        driver.set_script_timeout(600)
        driver.get(f"http://127.0.0.1:{server.server_port}/index.html")
        for start in range(0, len(cases), _AT_ONCE):
            some = cases[start : start + _AT_ONCE]
            models = [base64.b64encode(model).decode() for _, _, model in some]
            version, places = driver.execute_async_script(_PLACES, models)
            if places is None:
                raise SystemExit(version)
            _note(seen, some, places)
            print(f"{start + len(some)} of {len(cases)}", file=sys.stderr, flush=True)
    words = (("with", True), ("without", False))
    return version, {
        op: {word: sorted(n for n, has in found.items() if has is answer) for word, answer in words}
        for op, found in sorted(seen.items())
    }


def _note(
    seen: defaultdict[str, dict[int, bool]],
    cases: Sequence[tuple[str, int, bytes]],
    places: Sequence[list[str] | None],
) -> None:
    for (op, opset, _), on_cpu in zip(cases, places, strict=True):
        if on_cpu is None:
            continue  # there is no such version, or it is not loaded at all
        seen[op][opset] = not on_cpu or seen[op].get(opset, False)


def main() -> None:
    """Measure, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path, help="the built page: build/web")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    given = parser.parse_args()
    version, operators = measured(given.page)
    rows = ",\n".join(
        f"    {json.dumps(op)}: {json.dumps(found)}" for op, found in operators.items()
    )
    title = json.dumps(f"onnxruntime-web {version}, WebGPU")
    opsets = json.dumps(list(_OPSETS))
    text = (
        f'{{\n  "version": {title},\n  "opsets": {opsets},\n  "operators": {{\n{rows}\n  }}\n}}\n'
    )
    given.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
