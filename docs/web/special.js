// Special values through each PRelu node by itself: zeros, subnormal, smallest, largest numbers,
// infinities, NaN (prelu_tools/commands/verify/layers/special.py).

import { inverse, movedFrom, sameOrder, taking, usual } from "./alignment.js";
import { array, expandedTo, sameShape, sizeOf, transpose } from "./arrays.js";
import { aloneModel } from "./onnx.js";

const [SUBNORMAL, TINY, LARGEST] = [2 ** -149, 2 ** -126, 3.4028234663852886e38];
const SIZES = [0, SUBNORMAL, TINY, 1, LARGEST, Infinity];
const VALUES = [...SIZES.flatMap((size) => [size, -size]), NaN];
const EPSILON = 2 ** -23;

/** An input of a layer: a row for each special value, which meets every slope. */
function specialInput(mine) {
  const { shape, data } = mine.slopes;
  if (shape[0] !== 1) {
    return array("float32", shape, Float32Array.from({ length: data.length }, (_, i) => VALUES[i % VALUES.length]));
  }
  const wanted = [VALUES.length, ...shape.slice(1)];
  if (data.length === 1 && mine.inputShape?.length === wanted.length && wanted.length > 1) wanted[1] = mine.inputShape[1] || 1;
  const rows = array("float32", [VALUES.length, ...wanted.slice(1).map(() => 1)], Float32Array.from(VALUES));
  return expandedTo(rows, wanted);
}

const FORMULAS = {
  select: (x, a) => (x > 0 ? x : Math.fround(a * x)),
  relus: (x, a) => {
    const upper = Math.max(x, 0) || 0;
    const lower = Math.max(-x, 0) || 0;
    if (Number.isNaN(x)) return NaN;
    return Math.fround(upper + Math.fround(-a * lower));
  },
};

async function expectedOf(record, mine, x) {
  if (mine.formula !== null && Object.hasOwn(FORMULAS, mine.formula)) {
    const slopes = expandedTo(mine.slopes, x.shape).data;
    return array("float32", x.shape, x.data.map((value, i) => FORMULAS[mine.formula](value, slopes[i])));
  }
  const name = mine.special.float32;
  return name === undefined ? null : record.load(name);
}

function differs(a, b) {
  if (Number.isNaN(a) && Number.isNaN(b)) return false;
  if (a === 0 && b === 0) return !Object.is(a, b);
  if (a === b) return false;
  if (!Number.isFinite(a) || !Number.isFinite(b)) return true;
  return Math.abs(a - b) > Math.max(4 * EPSILON * Math.max(Math.abs(a), Math.abs(b)), SUBNORMAL);
}

/** Whether a difference at a finite value is one that a user should know and that fails nothing. */
function isDocumented(value, slope, expected, found) {
  if (expected === 0 && found === 0) return true;
  const below = (number) => Math.abs(number) > 0 && Math.abs(number) < TINY;
  const subnormal = below(value) || below(slope) || [expected, found].some((one) => Math.abs(one) > 0 && Math.abs(one) <= TINY);
  const lost = expected === 0 || found === 0;
  const largest = TINY * Math.max(1, Math.abs(slope));
  const crossed = below(value) && (value === expected || value === found) && Math.max(Math.abs(expected), Math.abs(found)) <= largest;
  return subnormal && (lost || crossed) && !Number.isNaN(expected) && !Number.isNaN(found);
}

/**
 * Run the layers whose slopes are the reference's.
 *
 * @returns {{fails: string[], skipped: string[]}} what differs, and the layers that were not tried
 */
export async function trySpecialValues(record, model, runtime, pairs) {
  const tried = [];
  const skipped = [];
  for (const [mine, other] of pairs) {
    const rank = mine.slopes.shape.length;
    const free = new Array(rank).fill(null);
    const one = mine.slopes.data.length !== other.slopes.data.length && other.slopes.data.length === 1;
    const fitting = one ? usual(rank) : taking(usual(rank), mine.slopes.shape, other.slopes.shape);
    const said = movedFrom(mine.axes, other.axes);
    const order = fitting.find((candidate) => said && sameOrder(candidate, said)) ?? fitting[0];
    const x = rank && mine.slopes.dtype === "float32" && other.slopes.dtype === "float32" && order ? specialInput(mine) : null;
    const expected = x && (await expectedOf(record, mine, x));
    if (expected && sameShape(expected.shape, x.shape) && free.length) tried.push({ mine, other, order, x, expected });
    else skipped.push(mine.name);
  }
  const fails = [];
  if (!tried.length) return { fails, skipped };
  await runtime.with(aloneModel(model, tried.map(({ other }) => other.stored)), async (session) => {
    const feeds = Object.fromEntries(tried.map(({ x, order }, i) => [`x${i}`, transpose(x, order)]));
    const found = await runtime.run(session, feeds, tried.map((_, i) => `y${i}`));
    tried.forEach(({ mine, order, x, expected }, i) => {
      const y = found[`y${i}`];
      const back = y.shape.length === order.length ? transpose(y, inverse(order)) : y;
      if (!sameShape(back.shape, x.shape)) skipped.push(mine.name);
      else fails.push(...differences(mine, x, expected, back));
    });
  });
  return { fails, skipped };
}

function differences(mine, x, expected, found) {
  const slopes = expandedTo(mine.slopes, x.shape).data;
  for (let i = 0; i < sizeOf(x.shape); i += 1) {
    const [value, slope, was, now] = [x.data[i], slopes[i], expected.data[i], found.data[i]];
    if (!differs(was, now) || isDocumented(value, slope, was, now)) continue;
    if (!(Math.abs(value) < LARGEST / 2)) continue; // infinite, NaN or the largest: it fails nothing
    const finite = [value, was, now].every(Number.isFinite);
    if (!finite && !differs(FORMULAS.select(value, slope), now)) continue; // it is right, the reference's form is not
    return [`${mine.name}: ${value} with slope ${slope} gives ${now}, but ${was} in the reference`];
  }
  return [];
}
