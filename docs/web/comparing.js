// Are two tensors the same, over several runs? The limits are the record's
// (prelu_tools/core/rounding/parity.py and tolerance.py). NaN never passes.

import { isFloat } from "./arrays.js";

export const FACTOR = 16; // times the rounding of a value
const MULTIPLE = 8;
const ULPS = 4;
const RARE = 10000; // values, of which the rounding error of one may be underestimated by chance
const TINY = 2 ** -126;
const EPSILON = { float64: 2 ** -52, float32: 2 ** -23, float16: 2 ** -10, bfloat16: 2 ** -7 };
const RELATIVE = { float64: [1e-7, 1e-9], float32: [1e-4, 1e-5], float16: [1e-2, 4e-3] };
const scratch = new DataView(new ArrayBuffer(8));

/** The distance of a number to the next one of float32; 0 for what is not finite. */
export function unitOf(value) {
  if (!Number.isFinite(value)) return 0;
  if (value === 0) return 2 ** -149;
  scratch.setFloat64(0, Math.abs(value));
  const exponent = (scratch.getUint16(0) >>> 4) - 1022; // value = m * 2 ** exponent, 0.5 <= m < 1
  return 2 ** (Math.max(exponent, -125) - 24);
}

export const epsilonOf = (dtype) => EPSILON[dtype] ?? 0;

/**
 * The limit for a tensor of the candidate.
 *
 * @param extent {scale, own_error} of the reference's tensor over all runs
 * @param dtype of the candidate's tensor
 * @param spread what the record says of each of its values; null where it says nothing
 * @returns {{rtol: number, atol: number|Float64Array, spread: object|null}}
 */
export function limitOf(extent, dtype, spread, expected) {
  if (spread !== null) {
    if (!isFloat(expected.dtype) || !isFloat(dtype)) return { rtol: 0, atol: 0, spread };
    const atol = Float64Array.from(expected.data, (value, i) =>
      FACTOR * (spread.scale.data[i] + unitOf(value) / 2) + FACTOR * TINY);
    return { rtol: 0, atol, spread };
  }
  if (!isFloat(dtype)) return { rtol: 0, atol: 0, spread: null };
  if (extent.own_error !== null) {
    const epsilon = Math.max(epsilonOf(dtype), EPSILON.float32);
    const rounding = extent.own_error * (epsilon / EPSILON.float32);
    return { rtol: 0, atol: MULTIPLE * rounding + ULPS * epsilon * extent.scale, spread: null };
  }
  const [rtol, atol] = RELATIVE[dtype] ?? [0, 0];
  return { rtol, atol: atol * extent.scale, spread: null };
}

/** The geometric mean of what is not 0 in the row of each value: a function of its index. */
function typicalOf(scale) {
  const { data, shape } = scale;
  const rows = shape.length > 1 ? shape[0] : 1;
  const size = data.length / rows;
  const means = Array.from({ length: rows }, (_, row) => {
    const known = data.subarray(row * size, (row + 1) * size).filter((value) => value > 0);
    return known.length ? Math.exp(known.reduce((sum, value) => sum + Math.log(value), 0) / known.length) : 0;
  });
  return (i) => means[Math.floor(i / size)];
}

/** Compares a tensor of the candidate with the reference's, run by run. */
export class Comparison {
  values = 0;
  mismatched = 0;
  unlike = 0; // finite, infinite or NaN on one side only
  bothNan = 0;
  rough = 0;
  maxAbs = NaN;
  worst = null; // as a share of the limit
  atWorst = 0;
  #flips = 0;
  #onBorder = 0;
  #beside = 0;
  #byChance = 0;

  /** One run: arrays of one shape, in one axis order. */
  add(expected, found, limit) {
    const [left, right, { spread }] = [expected.data, found.data, limit];
    const exact = !isFloat(expected.dtype);
    const border = spread?.border && spread.reach ? spread : null;
    const largest = border ? border.reach.data.reduce((most, value) => Math.max(most, value), 0) : 0;
    if (spread) this.#flips += spread.nFlips;
    if (spread?.rough) this.rough += spread.rough.data.reduce((sum, flag) => sum + flag, 0);
    this.values += left.length;
    let typical = null;
    for (let i = 0; i < left.length; i += 1) {
      const [a, b] = [Number(left[i]), Number(right[i])];
      const finite = Number.isFinite(a) && Number.isFinite(b);
      const nan = Number.isNaN(a) && Number.isNaN(b);
      if (nan) this.bothNan += 1;
      let unlike = !finite && !nan && a !== b;
      const gap = Math.abs(a - b);
      const allowed = limit.rtol * Math.abs(a) + (typeof limit.atol === "number" ? limit.atol : limit.atol[i]);
      let wrong = exact ? left[i] != right[i] : finite && gap > allowed;
      let explained = false;
      if (border && (wrong || unlike)) {
        const lost = unlike && border.lost !== null && Boolean(border.lost.data[i]);
        const crossed = (wrong && border.border.data[i] && gap <= border.reach.data[i]) || lost;
        explained = (wrong && gap <= largest) || lost;
        if (crossed) this.#onBorder += 1;
        else if (explained) this.#beside += 1;
        if (explained) wrong = unlike = false;
      }
      if (wrong && !exact && spread) {
        typical ??= typicalOf(spread.scale);
        if (gap <= typical(i)) {
          this.#byChance += 1;
          explained = true;
          wrong = false;
        }
      }
      if (wrong) this.mismatched += 1;
      if (unlike) this.unlike += 1;
      if (finite) {
        if (!(gap <= this.maxAbs)) this.maxAbs = gap;
        if (!exact && !explained && gap > 0 && gap / allowed > (this.worst ?? 0)) {
          [this.worst, this.atWorst] = [gap / allowed, allowed];
        }
      }
    }
    if (!exact) this.worst ??= 0;
  }

  get #excess() {
    const beside = this.#beside <= Math.floor(this.#flips / 16) ? 0 : this.#beside;
    const byChance = this.#byChance > Math.floor(this.values / RARE) ? this.#byChance : 0;
    return byChance + (this.#onBorder > this.#flips ? this.#onBorder + this.#beside : beside);
  }

  /** Values that differ because rounding crosses a border. */
  get border() {
    return this.#excess ? 0 : this.#onBorder + this.#beside;
  }

  get wrong() {
    return this.mismatched + this.#excess + this.unlike;
  }

  /** "pass", "fail", or "inconclusive" where nothing can be proven. */
  get verdict() {
    if (this.wrong) return "fail";
    return this.doubt ? "inconclusive" : "pass";
  }

  /** What keeps it from proving anything, as the end of a sentence; null for nothing. */
  get doubt() {
    if (!this.values) return "holds no values";
    if (this.rough * 2 > this.values) return "consists mostly of rounding error";
    if (this.border * 2 > this.values) return "differs in more than half of its values, all on a border that rounding error crosses";
    return this.bothNan ? "is NaN on both sides" : null;
  }
}

/** The largest distance in units in the last place of float32 (or of the type); Infinity for others. */
export function ulpsApart(expected, found, dtype, settled) {
  const [least, epsilon] = dtype === "float64" ? [2 ** -1022, 2 ** -52] : [TINY, EPSILON[dtype]];
  let most = 0;
  for (let i = 0; i < expected.length; i += 1) {
    const [a, b] = [expected[i], found[i]];
    if (!settled(i) || a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    if (!Number.isFinite(a) || !Number.isFinite(b)) return Infinity;
    const size = Math.max(Math.abs(a), Math.abs(b), least);
    const unit = 2 ** Math.floor(Math.log2(size)) * epsilon;
    most = Math.max(most, Math.round(Math.abs(a - b) / unit));
  }
  return most;
}
