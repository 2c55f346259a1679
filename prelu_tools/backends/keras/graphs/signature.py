"""A signature of a SavedModel as a `Program`."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from prelu_tools.backends.keras.framework import tf
from prelu_tools.backends.keras.graphs.freezing import flat_graph, freeze
from prelu_tools.backends.keras.graphs.program import Program, Weight, make_placeholder
from prelu_tools.backends.protocol.inputs import TensorSpec, stated_spec
from prelu_tools.backends.quiet import quiet
from prelu_tools.core.arrays import Array
from prelu_tools.core.errors import PReLUToolsError, UsageError, one_line
from prelu_tools.core.options import SourceOptions
from prelu_tools.core.prelu.layout import Layout

_DEFAULT = "serving_default"
_UNNAMED = re.compile(r"^(Variable(_\d+)?)?$")


def trace_signature(loaded: Any, label: str, options: SourceOptions) -> Program:
    """The signature `serving_default`, or the only one.

    Args:
        loaded: what `tf.saved_model.load` returned.
        label: the source, for messages.
        options: how to read it.

    Raises:
        PReLUToolsError: there is no such signature, or it cannot be made a graph.
    """
    function = _signature(loaded, label)
    specs = _inputs(function, options)
    given = function.structured_input_signature[1]

    def call(*flat: Any) -> list[Any]:
        outputs = function(**dict(zip(given, flat, strict=True)))
        return [tf.identity(outputs[name]) for name in function.structured_outputs]

    signature = [tf.TensorSpec(s.shape, s.dtype, f"in_{i}") for i, s in enumerate(given.values())]
    try:
        with quiet(options.show_chatter):
            concrete = tf.function(call, autograph=False).get_concrete_function(*signature)
            frozen = freeze(concrete)
    except Exception as error:
        detail = one_line(error)
        raise PReLUToolsError(
            f"the signature of {label} cannot be converted to one graph "
            f"({type(error).__name__}: {detail})"
        ) from error
    definition = flat_graph(frozen)
    return Program(
        name=label,
        definition=definition,
        specs=specs,
        inputs=tuple(tensor.name for tensor in frozen.inputs),
        outputs=dict(
            zip(function.structured_outputs, (t.name for t in frozen.outputs), strict=True)
        ),
        weights=_weights(loaded, concrete, definition),
        layout=_layout(definition),
        layers=_layers(definition),
    )


def _signature(loaded: Any, label: str) -> Any:
    signatures = dict(getattr(loaded, "signatures", {}))
    if _DEFAULT in signatures:
        return signatures[_DEFAULT]
    if len(signatures) == 1:
        return next(iter(signatures.values()))
    if not signatures:
        raise PReLUToolsError(
            f"{label} has no signature that can be run: save it with model.export(...), or by "
            "tf.saved_model.save(model, path, signatures=...)"
        )
    raise PReLUToolsError(
        f"{label} has the signatures {', '.join(sorted(signatures))}, but none is called "
        f"{_DEFAULT}: save it with a signature of that name"
    )


def _inputs(function: Any, options: SourceOptions) -> tuple[TensorSpec, ...]:
    """The inputs under the names of the signature; `--input` gives shapes that it leaves open."""
    asked = {option.name: option.shape for option in options.inputs}
    found = []
    names = function.structured_input_signature[1]
    if unknown := [name for name in asked if name not in names]:
        raise UsageError(f"--input {unknown[0]}: the signature takes {', '.join(names)}")
    for name, spec in names.items():
        if spec.shape.rank is None and name not in asked:
            raise PReLUToolsError(
                f"the signature does not state the rank of its input {name!r}: use --input "
                f"{name}:batch,..."
            )
        sizes = asked.get(name) or tuple(spec.shape)
        found.append(stated_spec(name, spec.dtype.name, sizes, None))
    return tuple(found)


def _weights(loaded: Any, concrete: Any, definition: Any) -> tuple[Weight, ...]:
    """Make placeholders of the constants that freezing made of variables, in the definition."""
    constants = {node.name: node for node in definition.node if node.op == "Const"}
    handles = {id(variable.handle): variable for variable in concrete.variables}
    names = _names(loaded, list(concrete.variables))
    found = []
    for outside, inside in concrete.graph.captures:
        variable = handles.get(id(outside))
        node = constants.get(inside.name.partition(":")[0])
        if variable is None or node is None or not variable.dtype.is_floating:
            continue
        name = names[id(variable)]
        shape = tuple(int(size) for size in variable.shape)
        make_placeholder(node)
        found.append(
            Weight(
                tensor=f"{node.name}:0",
                layer=_layer_name(name, names.values()),
                name=name,
                shape=shape,
                read=partial(_read, variable),
            )
        )
    return tuple(found)


def _read(variable: Any) -> Array:
    return np.asarray(memoryview(variable.read_value()))


def _names(loaded: Any, variables: list[Any]) -> dict[int, str]:
    """The variables' own names; where these say nothing, or are not theirs alone, their places."""
    own = {id(v): v.name.partition(":")[0] for v in variables}
    count = Counter(own.values())
    doubtful = {key for key, name in own.items() if count[name] > 1 or _UNNAMED.match(name)}
    return own | ({k: p for k, p in _places(loaded).items() if k in doubtful} if doubtful else {})


def _places(loaded: Any) -> dict[int, str]:
    """The shortest path of attributes to each variable."""
    view = tf.train.TrackableView(loaded)
    found: dict[int, str] = {}
    seen, queue = {id(loaded)}, deque([("", loaded)])
    while queue:
        path, item = queue.popleft()
        children: Mapping[str, Any] = view.children(item)
        for name, child in children.items():
            if id(child) in seen:
                continue
            seen.add(id(child))
            place = f"{path}/{name}".lstrip("/")
            if isinstance(child, tf.Variable):
                found[id(child)] = place
            queue.append((place, child))
    return found


def _layer_name(name: str, names: Any) -> str:
    """A layer's own name where no other has it, otherwise its path: as Keras files have it."""
    owner = name.rpartition("/")[0]
    owners = {other.rpartition("/")[0] for other in names}
    short = owner.rpartition("/")[2]
    alike = [other for other in owners if other.rpartition("/")[2] == short]
    return short if len(alike) == 1 else owner


def _layout(definition: Any) -> Layout:
    formats = {node.attr["data_format"].s for node in definition.node if "data_format" in node.attr}
    return "nchw" if formats and all(found.startswith(b"NC") for found in formats) else "nhwc"


def _layers(definition: Any) -> dict[str, str]:
    """The scopes of the graph by their last names: a SavedModel says no more of its layers."""
    scopes = {node.name.rpartition("/")[0] for node in definition.node}
    return {scope: scope.rpartition("/")[2] for scope in scopes if scope}
