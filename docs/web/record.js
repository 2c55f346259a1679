// A record: a run of a reference in an .npz file (docs/reference/record.md).

import { NoVerdict } from "./errors.js";
import { openNpz } from "./npz.js";

const FORMAT = "prelu-tools record";
const VERSION = 1;
const LARGEST_HEADER = 16 * 2 ** 20;

const number = (value) => Number(value); // "NaN" and "Infinity" stand for what JSON does not have
const is = (condition, what) => {
  if (!condition) throw new NoVerdict(`the record is damaged: in its header, ${what}`);
};
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** Read a record's header; `load(name)` gives an array, and keeps the last ones. */
export async function readRecord(bytes) {
  const file = openNpz(bytes);
  if (!file.names.includes("header")) {
    const shown = file.names.slice(0, 3).join(", ") || "none";
    throw new NoVerdict(`the .npz file is not a record of a model (it has the arrays ${shown}): expected what \`prelu-tools record\` wrote`);
  }
  const raw = await file.array("header");
  if (raw.data.length > LARGEST_HEADER) throw new NoVerdict("the record is rejected: its header is too large");
  let header;
  try {
    header = JSON.parse(new TextDecoder().decode(raw.data));
  } catch {
    throw new NoVerdict("the record is damaged: its header is not JSON");
  }
  if (!isObject(header) || header.format !== FORMAT) throw new NoVerdict("the .npz file is not a record of a model");
  const version = header.format_version;
  is(Number.isInteger(version) && version >= 1, `format_version is ${JSON.stringify(version)}`);
  if (version > VERSION) {
    throw new NoVerdict(`the record has format ${version}, but this page reads formats up to ${VERSION}: use a newer page, or record the model again`);
  }
  check(header);
  const withBits = new Set(header.bfloat16);
  const kept = new Map();
  return {
    ...header,
    outputNames: Object.keys(header.outputs),
    async load(name) {
      if (kept.has(name)) return kept.get(name);
      const found = await file.array(name);
      const values = withBits.has(name) ? { ...found, dtype: "bfloat16" } : found;
      kept.set(name, values);
      return values;
    },
  };
}

function check(header) {
  is(Array.isArray(header.inputs) && header.inputs.length > 0, "there are no inputs");
  is(isObject(header.outputs) && Object.keys(header.outputs).length > 0, "there are no outputs");
  is(Array.isArray(header.runs) && header.runs.length > 0, "there are no runs");
  is(Array.isArray(header.layers), "there are no layers");
  is(isObject(header.row_axes) && Array.isArray(header.row_names), "row_axes or row_names is missing");
  is(Array.isArray(header.doubts ?? []) && Array.isArray(header.bfloat16 ?? []), "doubts or bfloat16 is not a list");
  header.bfloat16 ??= [];
  header.doubts ??= [];
  for (const input of header.inputs) {
    is(isObject(input) && typeof input.name === "string" && Array.isArray(input.shape), "an input has no name or shape");
  }
  for (const facts of Object.values(header.outputs)) {
    is(isObject(facts) && typeof facts.dtype === "string", "an output has no type");
    facts.scale = number(facts.scale);
    facts.own_error = facts.own_error === null ? null : number(facts.own_error);
  }
  for (const item of header.layers) {
    is(isObject(item) && isObject(item.layer) && typeof item.layer.name === "string", "a layer has no name");
    is(typeof item.layer.slopes === "string" && Array.isArray(item.layer.nodes), `${item.layer.name} has no slopes`);
    item.scale = number(item.scale);
    item.own_error = item.own_error === null ? null : number(item.own_error);
  }
  for (const run of header.runs) {
    is(isObject(run) && isObject(run.inputs) && isObject(run.outputs) && isObject(run.counts), "a run has no inputs, outputs or counts");
    for (const { name } of header.inputs) is(typeof run.inputs[name] === "string", `a run has no input ${name}`);
    for (const name of Object.keys(header.outputs)) is(isObject(run.outputs[name]), `a run has no output ${name}`);
    for (const { layer } of header.layers) is(typeof run.counts[layer.name] === "string", `a run does not say which slopes of ${layer.name} were reached`);
  }
}
