"""What depends on constants alone is computed once, and nothing else is touched."""

from __future__ import annotations

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from prelu_tools.backends.keras.conversion.constants import fold  # noqa: E402

pytestmark = pytest.mark.keras

SCALE = np.array([3.0, 0.1, 7.0], np.float32)


def graph_of(build):
    """The GraphDef of what is built on a placeholder x."""
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, (None, 3), name="x")
        build(x)
    return graph.as_graph_def(add_shapes=True)


def run(definition):
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
        with tf.compat.v1.Session(graph=graph) as session:
            return session.run("y:0", {"x:0": np.ones((2, 3), np.float32)})


def ops(definition):
    return {node.name: node.op for node in definition.node}


def normalize(x):
    root = tf.math.rsqrt(tf.constant(SCALE) + 1e-3, name="root")
    tf.multiply(x, root * 2.0, name="y")


def test_a_chain_becomes_one_constant_with_the_same_bits():
    definition = graph_of(normalize)
    before = run(definition)
    found = ops(fold(definition, ["y:0"]))
    assert sorted(found.values()) == ["Const", "Mul", "Placeholder"]
    assert run(definition).tobytes() == before.tobytes()


def test_what_is_kept_stays_and_what_reads_it_too():
    found = ops(fold(graph_of(normalize), ["y:0", "root:0"]))
    assert found["root"] == "Rsqrt"
    assert list(found.values()).count("Mul") == 2


def test_random_numbers_and_lists_of_tensors_stay():
    def build(x):
        noise = tf.random.uniform((3,), name="noise")
        handle = tf.raw_ops.EmptyTensorList(
            element_shape=[3], max_num_elements=2, element_dtype=tf.float32, name="list"
        )
        held = tf.raw_ops.TensorListPushBack(input_handle=handle, tensor=x[0])
        tf.add(noise, tf.raw_ops.TensorListStack(input_handle=held, element_shape=[3],
               element_dtype=tf.float32), name="y")  # fmt: skip

    found = ops(fold(graph_of(build), ["y:0"]))
    assert "RandomUniform" in found.values()
    assert found["list"] == "EmptyTensorList"


def test_a_large_value_is_not_written_out():
    def build(x):
        tf.add(tf.reduce_sum(tf.fill((1000, 1000), 2.0) * 3.0, name="sum"), x, name="y")

    def build_large(x):
        tf.add(tf.fill((1000, 1000), 2.0) * 3.0, tf.reduce_sum(x), name="y")

    assert ops(fold(graph_of(build), ["y:0"]))["sum"] == "Const"
    assert "Fill" in ops(fold(graph_of(build_large), ["y:0"])).values()
