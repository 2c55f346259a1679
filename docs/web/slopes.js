// Slopes of two layers, bit for bit (prelu_tools/core/prelu/slopediff.py).

import { movedFrom, sameOrder, taking, usual } from "./alignment.js";
import { array, broadcasts, sameBits, transpose } from "./arrays.js";

const flat = (values) => array(values.dtype, [values.data.length], values.data);
const free = (rank) => new Array(rank).fill(null);

/** Slopes with all axes of an input of this rank (numpy's rule). */
export function align(values, rank) {
  const missing = rank - values.shape.length;
  return missing > 0 ? array(values.dtype, [...new Array(missing).fill(1), ...values.shape], values.data) : values;
}

/** The slopes of a layer with the axes of an input of this rank; null where that is in doubt. */
export function laidOver(layer, rank) {
  const { slopes, inputShape } = layer;
  const size = slopes.data.length;
  if (slopes.shape.length === rank) return slopes;
  if (size === 1) return array(slopes.dtype, new Array(rank).fill(1), slopes.data);
  if (inputShape === null) return slopes.shape.length < rank ? align(slopes, rank) : null;
  const varying = slopes.shape.flatMap((length, axis) => (length === 1 ? [] : [axis]));
  if (rank < 2 || varying.length !== 1 || ![1, slopes.shape.length - 1].includes(varying[0])) return null;
  const shape = new Array(rank).fill(1);
  shape[varying[0] === 1 ? 1 : rank - 1] = size;
  return array(slopes.dtype, shape, slopes.data);
}

function ordersOf(reference, candidate) {
  const rank = reference.slopes.shape.length;
  let shape = reference.inputShape ?? free(rank);
  let target = candidate.inputShape ?? free(rank);
  if (shape.length !== rank || target.length !== rank) shape = target = free(rank);
  const open = (sizes) => [null, ...sizes.slice(1)].slice(0, rank);
  const between = taking(usual(rank), open(shape), open(target));
  return taking(between.length ? between : usual(rank), reference.slopes.shape, candidate.slopes.shape);
}

/**
 * Compare the slopes of two layers that ought to be the same one.
 *
 * @returns {{equal: boolean, words?: string, ambiguous?: boolean, moved?: boolean, order?: number[]}}
 */
export function compareSlopes(reference, candidate) {
  const rank = Math.max(reference.slopes.shape.length, candidate.slopes.shape.length);
  const ofRank = (layer) => (layer.inputShape === null ? { ...layer, slopes: align(layer.slopes, rank) } : layer);
  const aligned = [ofRank(reference), ofRank(candidate)];
  const [mine, other] = ordersOf(...aligned).length ? aligned : [reference, candidate];
  const [left, right] = [mine.slopes, other.slopes];
  if (left.data.length !== right.data.length) return expanded(left, right);
  if (left.data.length === 1 || left.shape.length !== right.shape.length) return difference(flat(left), flat(right));
  const outcomes = ordersOf(mine, other).map((order) => ({ order, ...laidDifference(transpose(left, order), right) }));
  const said = movedFrom(mine.axes, other.axes);
  const stated = said && outcomes.find(({ order }) => sameOrder(order, said));
  if (outcomes.length && said && !stated && usual(left.shape.length).some((order) => sameOrder(order, said))) {
    const moved = said.map((axis) => left.shape[axis]);
    const known = (other.inputShape ?? []).map((size) => size ?? 1);
    if (known.length === moved.length && broadcasts(moved, known)) {
      return { equal: false, moved: sameValues(left, right), words: `slopes are laid out as [${right.shape}], expected [${moved}]` };
    }
  }
  if (!outcomes.length) {
    return { equal: false, moved: sameValues(left, right), words: `slopes are laid out as [${right.shape}], expected [${left.shape}] on the reference's input` };
  }
  if (outcomes.every(({ equal }) => equal === outcomes[0].equal)) return outcomes[0];
  if (stated?.equal) return stated;
  return { equal: false, ambiguous: true, words: "the axis order cannot be told from the shapes" };
}

const bits = ({ dtype, data }) => {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const copy = bytes.slice();
  return dtype === "float64" ? new BigUint64Array(copy.buffer) : dtype === "float32" ? new Uint32Array(copy.buffer) : new Uint16Array(copy.buffer);
};
const sorted = (values) => array(values.dtype, [values.data.length], values.data.slice().sort());
const sameValues = (left, right) => left.dtype === right.dtype && sameBits(sorted(left), sorted(right));

function expanded(left, right) {
  const found = right.data.length === 1 ? "one slope shared by all" : `${right.data.length} slopes`;
  const every = new Set([...bits(left), ...bits(right)]);
  if (left.dtype === right.dtype && Math.min(left.data.length, right.data.length) === 1 && every.size === 1) {
    return { equal: true, note: `${found}; the reference has ${left.data.length}, all equal` };
  }
  return { equal: false, words: `${found}, expected ${left.data.length}`, isOpen: left.data.length > 1 && right.data.length > 1 };
}

function laidDifference(left, right) {
  const found = difference(flat(left), flat(right));
  const varying = left.shape.flatMap((length, axis) => (length === 1 ? [] : [axis]));
  if (found.equal || varying.length < 2) return found;
  for (const first of varying) for (const second of varying.filter((axis) => axis > first)) {
    const order = left.shape.map((_, axis) => (axis === first ? second : axis === second ? first : axis));
    if (sameBits(flat(transpose(left, order)), flat(right))) return { equal: false, words: `slopes transposed (axes ${first} and ${second})` };
  }
  return found;
}

function difference(left, right) {
  return left.dtype === right.dtype && sameBits(left, right) ? { equal: true } : { equal: false, words: describe(left, right) };
}

/** Say in words how two vectors of slopes of one length differ. */
export function describe(left, right) {
  if (left.dtype !== right.dtype) return `slopes stored as ${right.dtype}, expected ${left.dtype}`;
  const negated = array(left.dtype, left.shape, left.data.map((value) => -value));
  if (sameBits(negated, right)) return "slopes negated";
  const [mine, theirs] = [bits(left), bits(right)];
  const where = [...mine.keys()].filter((i) => mine[i] !== theirs[i]);
  if (where.length === 2 && mine[where[0]] === theirs[where[1]] && mine[where[1]] === theirs[where[0]]) {
    return `channels ${where[0]} and ${where[1]} swapped`;
  }
  if (sameValues(left, right)) return `slopes permuted (${where.length} of ${mine.length} out of place)`;
  const gap = (i) => { const d = Math.abs(left.data[i] - right.data[i]); return Number.isNaN(d) ? Infinity : d; };
  const most = where.reduce((best, i) => (gap(i) > gap(best) ? i : best), where[0]);
  if (mine.length === 1) return `the only slope differs: ${right.data[most]}, expected ${left.data[most]}`;
  return `${where.length} of ${mine.length} slopes differ, the largest difference at index ${most}: ${right.data[most]}, expected ${left.data[most]}`;
}

/** The flat indices, in the candidate, of the slopes that differ. */
export function differing(reference, candidate, order) {
  const left = order ? transpose(reference, order) : reference;
  if (left.data.length !== candidate.data.length || left.dtype !== candidate.dtype) return null;
  const [mine, theirs] = [bits(left), bits(candidate)];
  return [...mine.keys()].filter((i) => mine[i] !== theirs[i]);
}

