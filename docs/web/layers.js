// The PReLU layers of an ONNX file that has them as PRelu nodes (prelu_tools/graph/match/layers.py).

import { bytesOf } from "./arrays.js";
import { isPlain } from "./alignment.js";
import { valuesOf } from "./onnx.js";
import { align } from "./slopes.js";

const GENERATED = /^(val_\d+|onnx::.*|Const(_\d+)?(:0)?|const.*|.*__\d+(:0)?|slope.*|\d+)$/;
const SLOPE_NAMES = /[./](weight|alpha|slope|Neg|ReadVariableOp(\/resource)?|Identity)(:0)?$/;
const [LAYER, PARAMETER, AXES] = ["prelu_tools.layer", "prelu_tools.parameter", "prelu_tools.axes"];
const SCOPES = "pkg.torch.onnx.name_scopes";

/** The module that torch's exporter saw a node in; "" where it says nothing. */
function moduleScope(list) {
  const names = list.length < 10_000 ? [...list.matchAll(/'([^']*)'|"([^"]*)"/g)] : [];
  const found = names.at(-2);
  return list.trim().startsWith("[") && found ? (found[1] ?? found[2]) : "";
}

const moduleOf = (node) => node.properties.get(LAYER) ?? moduleScope(node.properties.get(SCOPES) ?? "");

function statedAxes(node) {
  const found = node.properties.get(AXES) ?? "";
  if (!/^\d{1,9}(,\d{1,9}){0,63}$/.test(found)) return null;
  const axes = found.split(",").map(Number);
  return isPlain([...axes].sort((a, b) => a - b)) ? axes : null;
}

function nameOf(node) {
  const parameter = node.inputs[1];
  const byParameter = GENERATED.test(parameter) ? "" : parameter.replace(SLOPE_NAMES, "");
  const path = (node.name || node.outputs[0]).replace(/^\/+|\/+$/g, "").split("/");
  return moduleOf(node) || byParameter || path.slice(0, -1).join("/") || path.at(-1);
}

function callNumber(node) {
  const layer = node.properties.get(LAYER);
  const rest = layer !== undefined && node.name.startsWith(`${layer}_`) ? node.name.slice(layer.length + 1) : node.name;
  return layer !== undefined && /^\d{1,9}$/.test(rest) ? Number(rest) : 0;
}

/**
 * The layers, in the order of the graph. `slopes` is null of one whose slopes the graph computes.
 *
 * @param files the bytes of files with weights, by their names
 */
export function readLayers(model, files) {
  const groups = new Map();
  for (const node of model.nodes.filter((one) => one.op === "PRelu" && ["", "ai.onnx"].includes(one.domain))) {
    const slopes = valuesOf(model, node.inputs[1], files);
    const known = node.properties.has(LAYER) ? (node.properties.get(PARAMETER) ?? "") : node.inputs[1];
    const bits = slopes === null ? node.outputs[0] : bytesOf(slopes).join();
    const key = JSON.stringify([known, moduleOf(node), bits]);
    groups.set(key, [...(groups.get(key) ?? []), { node, slopes }]);
  }
  const taken = new Set();
  return [...groups.values()].map((calls) => {
    calls.sort((a, b) => callNumber(a.node) - callNumber(b.node));
    const { node, slopes } = calls[0];
    const base = nameOf(node);
    let name = base;
    for (let number = 2; taken.has(name); number += 1) name = `${base}#${number}`;
    taken.add(name);
    const inputShape = model.shapes.get(node.inputs[0])?.shape ?? null;
    return {
      name, inputShape, axes: statedAxes(node),
      isOne: calls.length === 1 || node.properties.has(LAYER),
      nodes: calls.map((call) => call.node),
      stored: slopes,
      slopes: slopes && (inputShape ? align(slopes, inputShape.length) : slopes),
    };
  });
}

/** Which layer of the candidate is which of the reference: by name, those left over by order. */
export function pairLayers(references, found) {
  const candidates = takenApart(references, found);
  const byName = new Map(candidates.map((layer) => [layer.name, layer]));
  const pairs = new Map(references.filter(({ name }) => byName.has(name)).map((mine) => [mine, byName.get(mine.name)]));
  const left = references.filter((mine) => !pairs.has(mine));
  const paired = new Set(pairs.values());
  const right = candidates.filter((layer) => !paired.has(layer));
  if (left.length !== right.length) return { pairs: references.filter((mine) => pairs.has(mine)).map((mine) => [mine, pairs.get(mine)]), missing: left, additional: right };
  left.forEach((mine, i) => pairs.set(mine, right[i]));
  return { pairs: references.map((mine) => [mine, pairs.get(mine)]), missing: [], additional: [] };
}

/** What merely shares a tensor is taken apart, where that gives the reference's number. */
function takenApart(references, found) {
  if (found.length === references.length) return found;
  const split = found.flatMap((layer) => (layer.isOne ? [layer] : layer.nodes.map((node) => ({ ...layer, name: node.name || node.outputs[0], nodes: [node] }))));
  return split.length === references.length ? split : found;
}
