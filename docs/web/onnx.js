// An ONNX file, read as far as a check needs it: inputs, outputs, PRelu nodes and their slopes.

import { isPlain } from "./alignment.js";
import { fromBytes, kindOf, sizeOf } from "./arrays.js";
import { NoVerdict } from "./errors.js";
import { joined, lengthField, message, text, whole, wholeField, wholes } from "./protobuf.js";

const TYPES = {
  1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
  10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16",
};
const OWN = ["", "ai.onnx"];
const BODIES = [6, 11]; // a graph, or several, of an attribute

/** Read a model. Throws NoVerdict for what is none. */
export function readModel(bytes) {
  const model = message(bytes);
  if (!model.has(7) || !model.has(1)) throw new NoVerdict("the model is not an ONNX file: it has no graph");
  const graph = message(joined(model.get(7)));
  const opsets = (model.get(8) ?? []).map(message);
  const opset = opsets.filter((entry) => OWN.includes(text(entry.get(1)?.[0] ?? new Uint8Array())));
  const initializers = new Map((graph.get(5) ?? []).map((raw) => {
    const tensor = message(raw);
    return [text(tensor.get(8)?.[0] ?? new Uint8Array()), { tensor, raw }];
  }));
  const values = (number) => (graph.get(number) ?? []).map(valueInfo);
  const inputs = values(11).filter((value) => !initializers.has(value.name));
  const shapes = new Map([...values(13), ...values(11), ...values(12)].map((value) => [value.name, value]));
  return {
    bytes,
    irVersion: whole(model.get(1)[0]),
    opset: Math.max(0, ...opset.map((entry) => whole(entry.get(2)?.[0] ?? 0n))),
    nFunctions: (model.get(25) ?? []).length,
    properties: propertiesOf(model.get(14)),
    nodes: (graph.get(1) ?? []).map(readNode),
    inputs, outputs: values(12), shapes, initializers,
  };
}

function valueInfo(raw) {
  const value = message(raw);
  const type = value.get(2) ? message(joined(value.get(2))) : new Map();
  const tensor = type.get(1) ? message(type.get(1)[0]) : new Map();
  const dims = tensor.get(2) ? (message(tensor.get(2)[0]).get(1) ?? []).map(message) : null;
  return {
    name: text(value.get(1)?.[0] ?? new Uint8Array()),
    dtype: TYPES[whole(tensor.get(1)?.[0] ?? 0n)] ?? "unknown",
    shape: dims?.map((dim) => (dim.get(1) ? whole(dim.get(1)[0]) : null)) ?? null,
  };
}

const propertiesOf = (raws = []) => new Map(raws.map(message).map((one) =>
  [text(one.get(1)?.[0] ?? new Uint8Array()), text(one.get(2)?.[0] ?? new Uint8Array())]));

/** By name the orders in which a file says its inputs or outputs were moved from its source's axes. */
export function statedOrders(model, side) {
  let found;
  try {
    found = JSON.parse(model.properties.get(`prelu_tools.${side}_axes`) ?? "{}");
  } catch {
    return new Map();
  }
  const isOrder = (axes) => Array.isArray(axes) && isPlain([...axes].sort((a, b) => a - b));
  return new Map(Object.entries(found ?? {}).filter(([, axes]) => isOrder(axes)));
}

function readNode(raw) {
  const node = message(raw);
  const texts = (number) => (node.get(number) ?? []).map(text);
  const attributes = (node.get(5) ?? []).map(message);
  return {
    inputs: texts(1), outputs: texts(2), name: texts(3)[0] ?? "", op: texts(4)[0] ?? "", domain: texts(7)[0] ?? "",
    hasBody: attributes.some((one) => BODIES.some((number) => one.has(number))),
    attributes: new Map(attributes.map((one) => [text(one.get(1)[0]), one])),
    properties: propertiesOf(node.get(9)),
  };
}

/** Names of files that hold weights of the model. */
export function dataFiles(model) {
  const found = new Set();
  for (const { tensor } of model.initializers.values()) {
    if (tensor.get(14)?.[0] === 1n) found.add(placeOf(tensor).get("location") ?? "");
  }
  return [...found];
}

const placeOf = (tensor) => new Map((tensor.get(13) ?? []).map(message).map((entry) => [text(entry.get(1)[0]), text(entry.get(2)[0])]));

/** The values of a tensor of the graph; null where they are not stored as numbers here. */
export function valuesOf(model, name, files = new Map()) {
  const found = model.initializers.get(name);
  if (found === undefined) return null;
  const { tensor } = found;
  const shape = wholes(tensor.get(1) ?? []);
  const dtype = TYPES[whole(tensor.get(2)?.[0] ?? 0n)] ?? "unknown";
  const Kind = kindOf(dtype);
  if (Kind === undefined || shape.some((size) => size < 0)) return null;
  const size = sizeOf(shape) * Kind.BYTES_PER_ELEMENT;
  let bytes = tensor.get(9)?.[0];
  if (tensor.get(14)?.[0] === 1n) {
    const place = placeOf(tensor);
    const start = Number(place.get("offset") ?? 0);
    bytes = files.get(place.get("location"))?.subarray(start, start + Number(place.get("length") ?? size));
  }
  if (bytes === undefined && dtype === "float32") {
    const parts = tensor.get(4) ?? [];
    bytes = joined(parts);
  }
  if (bytes === undefined || bytes.length !== size) return null;
  return fromBytes(dtype, shape, bytes);
}

/**
 * The model with more outputs. A field that stands twice in a message is merged by every reader of
 * protocol buffers, so that a second graph behind the first adds its outputs to it.
 */
export function withOutputs(model, names) {
  const known = new Set(model.outputs.map((value) => value.name));
  const added = [...new Set(names)].filter((name) => !known.has(name));
  return joined([model.bytes, lengthField(7, joined(added.map((name) => lengthField(12, lengthField(1, name)))))]);
}

const tensorType = (dtype) => Number(Object.keys(TYPES).find((key) => TYPES[key] === dtype));

/** A model of PRelu nodes alone: for each layer, y{i} = PRelu(x{i}, slopes). */
export function aloneModel(model, slopes) {
  const parts = slopes.flatMap((values, i) => {
    const kind = lengthField(2, lengthField(1, wholeField(1, tensorType(values.dtype))));
    const dims = values.shape.map((size) => wholeField(1, size));
    const raw = new Uint8Array(values.data.buffer, values.data.byteOffset, values.data.byteLength);
    const tensor = [...dims, wholeField(2, tensorType(values.dtype)), lengthField(8, `s${i}`), lengthField(9, raw)];
    const node = [lengthField(1, `x${i}`), lengthField(1, `s${i}`), lengthField(2, `y${i}`), lengthField(4, "PRelu")];
    return [
      lengthField(1, joined(node)), lengthField(5, joined(tensor)),
      lengthField(11, joined([lengthField(1, `x${i}`), kind])), lengthField(12, joined([lengthField(1, `y${i}`), kind])),
    ];
  });
  const opset = lengthField(8, joined([lengthField(1, ""), wholeField(2, model.opset)]));
  return joined([wholeField(1, model.irVersion), opset, lengthField(7, joined([lengthField(2, "layers"), ...parts]))]);
}
