// Which input and output of the candidate is which of the reference, and which runs it takes.

import { identity, sameOrder, taking, usual } from "./alignment.js";
import { rowsOf, sameBits } from "./arrays.js";
import { NoVerdict } from "./errors.js";

const dims = (shape) => `[${shape.map((size) => size ?? "?").join(", ")}]`;

/**
 * Pair the inputs by name, else by order; `order` takes the reference's axes to the candidate's.
 * Where shapes leave it open, it is the one that the candidate states.
 */
export function linkInputs(references, candidates, stated = new Map()) {
  const byName = new Map(candidates.map((input) => [input.name, input]));
  const names = references.map(({ name }) => name);
  let pairs;
  if ([...byName.keys()].every((name) => names.includes(name))) {
    pairs = references.filter(({ name }) => byName.has(name)).map((mine) => [mine, byName.get(mine.name)]);
  } else if (references.length === candidates.length) pairs = references.map((mine, i) => [mine, candidates[i]]);
  else throw new NoVerdict(`the model has ${candidates.length} inputs; the reference has ${references.length} (${names.join(", ")})`);
  return pairs.map(([mine, other]) => link(mine, other, stated.get(other.name)));
}

function link(mine, other, stated) {
  if (mine.dtype !== other.dtype) {
    throw new NoVerdict(`input ${other.name} is ${other.dtype}, but ${mine.dtype} in the reference: this page compares only models with the same input types`);
  }
  const open = (shape) => (shape.length ? [null, ...shape.slice(1).map((size) => (typeof size === "number" ? size : null))] : []);
  const left = open(mine.shape);
  const right = open(other.shape ?? mine.shape);
  const fitting = taking(usual(left.length), left, right);
  const exact = fitting.filter((order) => order.every((axis, i) => left[axis] === right[i]));
  const chosen = exact.length === 1 ? exact : fitting;
  if (!chosen.length) throw new NoVerdict(`input ${other.name} has shape ${dims(other.shape)}, but the reference's ${mine.name} has shape [${mine.shape.join(", ")}]`);
  const key = (order) => order.filter((axis) => left[axis] !== 1).join();
  const order = chosen.find((one) => stated && sameOrder(one, stated)) ?? chosen[0];
  return { mine, other, order, isOpen: new Set(chosen.map(key)).size > 1 };
}

/** The sizes that the candidate fixes, in the reference's axes. */
function fixedSizes({ mine, other, order }) {
  const fixed = identity(mine.shape.length).map(() => null);
  (other.shape ?? []).forEach((size, i) => { fixed[order[i]] = size; });
  return fixed;
}

/**
 * The record's runs as the candidate takes them: whole, or their rows in batches of the size that it
 * fixes (prelu_tools/commands/verify/reference/rebatching.py).
 *
 * @yields {{run, number, feeds, isFirst, count, rows}} count is 0 where a part is the whole run
 */
export async function* partsOf(record, links) {
  const { row_axes: axes, row_names: rowNames } = record;
  const known = Object.values(record.outputs).every((facts) => Number.isInteger(facts.row_axis)) && rowNames.length > 0;
  const batched = new Set();
  let first = null;
  for (const [number, run] of record.runs.entries()) {
    const feeds = {};
    for (const { name } of record.inputs) feeds[name] = await record.load(run.inputs[name]);
    const wrong = links.flatMap((one) => fixedSizes(one).flatMap((size, axis) =>
      (size !== null && size !== feeds[one.mine.name].shape[axis] ? [[one.mine.name, axis, size]] : [])));
    if (number === 0) first = feeds;
    if (number === 1 && batched.has(0) && isFirstRow(feeds, first, axes)) continue;
    if (!wrong.length) yield { run, number, feeds, isFirst: true, count: 0, rows: [] };
    else if (known && wrong.every(([name, axis]) => axes[name] === axis)) {
      batched.add(number);
      yield* batches(run, number, feeds, axes, wrong[0][2]);
    }
  }
}

function* batches(run, number, feeds, axes, size) {
  const count = rowCount(feeds, axes);
  for (let start = 0; start < count; start += size) {
    const rows = Array.from({ length: size }, (_, i) => (start + i) % count);
    yield { run, number, feeds: takeRows(feeds, axes, count, rows), isFirst: start === 0, count, rows };
  }
}

export function takeRows(feeds, axes, count, rows) {
  const found = {};
  for (const [name, values] of Object.entries(feeds)) found[name] = name in axes ? rowsOf(values, axes[name], count, rows) : values;
  return found;
}

/** How many rows a run has; 1 where no input has any. */
export function rowCount(feeds, axes) {
  const name = Object.keys(feeds).find((key) => key in axes);
  return name === undefined ? 1 : feeds[name].shape[axes[name]];
}

function isFirstRow(alone, together, axes) {
  const count = rowCount(together, axes);
  if (count < 2 || rowCount(alone, axes) !== 1) return false;
  const row = takeRows(together, axes, count, [0]);
  return Object.keys(row).every((name) => sameBits(row[name], alone[name]));
}

/** A tensor of a whole run for a part of it; null where its rows cannot be told apart. */
export function takePart(part, values, axis) {
  if (!part.count || axis === -1) return values;
  const size = Number.isInteger(axis) ? (values.shape[axis] ?? 0) : 0;
  return size && size % part.count === 0 ? rowsOf(values, axis, part.count, part.rows) : null;
}

/** Pair outputs by name; those left over by order, unless their shapes say another order. */
export function pairOutputs(references, results) {
  const mine = Object.keys(references);
  const theirs = Object.keys(results);
  const pairs = new Map(mine.filter((name) => theirs.includes(name)).map((name) => [name, name]));
  if (mine.length !== theirs.length) return [...pairs];
  const left = mine.filter((name) => !pairs.has(name));
  let right = theirs.filter((name) => !pairs.has(name));
  const key = ({ shape }) => [...shape].sort((a, b) => a - b).join();
  const shapes = left.map((name) => key(references[name]));
  const others = right.map((name) => key(results[name]));
  const same = [...shapes].sort().join(";") === [...others].sort().join(";");
  if (shapes.join(";") !== others.join(";") && same && new Set(shapes).size === shapes.length) {
    right = shapes.map((shape) => right[others.indexOf(shape)]);
  }
  left.forEach((name, i) => pairs.set(name, right[i]));
  return mine.map((name) => [name, pairs.get(name)]);
}

