"""Files that the real libraries wrote, and then changes to what they are made of.

Programs of pickles by their operations, zip archives by their records, headers of safetensors and
of arrays by their fields, HDF5 by its links, attributes, types and storage. What would run if a
file could have its way makes a file called `marker` in the current folder: the worker looks for it.
"""

from __future__ import annotations

import io
import pickle
import random
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from fuzz.archives import MARKER, SIZES, zipped
from fuzz.generic import ODD_NUMBERS
from fuzz.saved_keras import make_keras, tree_maker
from fuzz.saved_torch import make_pt, make_safetensors


def _npy(draw: random.Random) -> bytes:
    out, shape = io.BytesIO(), tuple(draw.choice(SIZES) for _ in range(draw.randrange(5)))
    kinds = ("f4", "f4", ">f4", "f8", "i8", "?", "c8", "U3", "S2", "M8[s]", "f4,i4", "V5", "f2")
    array = np.zeros(shape, draw.choice(kinds))
    if draw.random() < 0.5:
        array = np.asfortranarray(array)
    version = draw.choice(((1, 0), (1, 0), (2, 0), (3, 0)))
    np.lib.format.write_array(out, array, version)
    data = out.getvalue()
    if draw.random() < 0.4:
        return data
    size = 2 if version == (1, 0) else 4
    length = int.from_bytes(data[8 : 8 + size], "little")
    header, content = data[8 + size : 8 + size + length], data[8 + size + length :]
    fields = {"descr": f"{array.dtype.str!r}", "fortran_order": "False", "shape": f"{shape!r}"}
    odd = ("'|O'", "'f4'", "(2**40,)", "(-1,)", "(1,)*99", "(True,)", "[3]", "None", "'<f4' or 1",
           "()", "(99999999999,)", "((3,),)", "[('a', '|O')]", "1e9", "'V4294967295'")  # fmt: skip
    fields[draw.choice(list(fields))] = draw.choice(odd)
    if draw.random() < 0.3:
        del fields[draw.choice(list(fields))]
    text = "{" + ", ".join(f"'{name}': {value}" for name, value in fields.items()) + ", }"
    header = text.ljust(length - 1).encode() + b"\n" if draw.random() < 0.8 else header[:-2]
    said = (len(header) if draw.random() < 0.9 else draw.choice(ODD_NUMBERS)) % (1 << 8 * size)
    if draw.random() < 0.1:
        content = pickle.dumps([1]) + f"cos\nsystem\n(S'touch {MARKER}'\ntR.".encode()
    return data[:8] + said.to_bytes(size, "little") + header + content


def _npz(draw: random.Random) -> bytes:
    names = ("x.npy", "run0/x.npy", "run1/x.npy", "x", "y.npy", "../x.npy", "a/b.npy", ".npy")
    return zipped(draw, {name: _npy(draw) for name in draw.sample(names, draw.randrange(1, 4))})


SAVED: Final[Mapping[str, Callable[[random.Random], bytes]]] = {
    ".keras": make_keras,
    ".h5": tree_maker(".h5"),
    ".weights.h5": tree_maker(".weights.h5"),
    ".pt": make_pt,
    ".safetensors": make_safetensors,
    ".npz": _npz,
}
"""What makes a file of each kind; which bytes depends on the versions of the libraries, too."""
