// Layers as the candidate runs: what each gives, and what it makes of its own input
// (prelu_tools/commands/verify/layers/matching.py, watched.py and isolated.py).

import { identity, inverse, laying, movedFrom, sameOrder, taking, usual } from "./alignment.js";
import { array, broadcasts, expandedTo, isFloat, sameShape, transpose } from "./arrays.js";
import { Comparison, limitOf, ulpsApart } from "./comparing.js";
import { laidOver } from "./slopes.js";

const OWN_ULPS = 4;

/** How the reference's axes may have become the candidate's; see `axis_orders`. */
export function axisOrders(mine, other, shape, expected) {
  const rank = shape.length;
  let slopes = laidOver(mine, rank);
  const others = laidOver(other, rank);
  if (mine.slopes.shape.length !== rank && expected && slopes) {
    slopes = expected.length === rank && broadcasts(slopes.shape, expected) ? slopes : null;
  }
  const source = expected ?? new Array(rank).fill(null);
  let fitting = taking(usual(source.length), source, shape);
  if (slopes) {
    fitting = laying(fitting, slopes.shape, shape);
    if (others) {
      const both = taking(fitting, slopes.shape, others.shape);
      fitting = both.length ? both : fitting;
    }
  }
  const said = movedFrom(mine.axes, other.axes);
  const stated = said ? fitting.filter((order) => sameOrder(order, said)) : [];
  if (stated.length) fitting = other.nodes.length > 1 ? [...stated, ...fitting.filter((order) => !stated.includes(order))] : stated;
  return fitting.length ? fitting : [identity(rank)];
}

/** An array of the candidate in the order in which it is nearest to the reference's; null for none. */
export function nearest(orders, expected, values) {
  const moved = orders.filter((order) => order.length === values.shape.length)
    .map((order) => transpose(values, inverse(order))).filter((one) => sameShape(one.shape, expected.shape));
  if (moved.length < 2) return moved[0] ?? null;
  const distance = ({ data }) => data.reduce((sum, value, i) => {
    const gap = Math.abs(Number(value) - Number(expected.data[i]));
    return Number.isFinite(gap) ? sum + gap : sum;
  }, 0);
  return moved.reduce((best, one) => (distance(one) < distance(best) ? one : best));
}

/** How far a layer is from PReLU of its own input with the reference's slopes, in ulps; null if unknown. */
export function ownUlps(mine, orders, x, y) {
  const rank = x.shape.length;
  const slopes = laidOver(mine, rank);
  if (slopes === null || !isFloat(x.dtype)) return null;
  const some = laying(orders, slopes.shape, x.shape);
  const wide = laying(usual(rank), slopes.shape, x.shape);
  const tried = some.length ? some : wide.length ? wide : orders;
  const found = tried.map((order) => apart(slopes, order, x, y)).filter((value) => value !== null);
  return found.length ? Math.min(...found) : null;
}

function apart(slopes, order, x, y) {
  const single = slopes.data.length === 1;
  if (!single && order.length !== x.shape.length) return null;
  const turned = single ? array(slopes.dtype, x.shape.map(() => 1), slopes.data) : transpose(slopes, order);
  if (!broadcasts(turned.shape, x.shape)) return null;
  if (!sameShape(x.shape, y.shape)) return Infinity;
  const laid = expandedTo(turned, x.shape).data;
  const round = x.dtype === "float32" ? Math.fround : Number;
  const expected = x.data.map((value, i) => (value > 0 ? value : round(round(laid[i]) * value)));
  return ulpsApart(expected, y.data, x.dtype, (i) => Number.isFinite(laid[i]) || x.data[i] < 0);
}

export class LayerJudge {
  #taken = new Set();

  constructor(pairs, spreads) {
    this.pairs = pairs;
    this.spreads = spreads; // whether limits of values count: those of every output are known
    this.seen = new Map(pairs.map(([mine]) => [mine.name, { along: null, own: null, lost: null, calls: 0 }]));
  }

  /** One call of a layer of the candidate. */
  observe(run, [mine, other], call, x, y, calls) {
    const seen = this.seen.get(mine.name);
    seen.calls += 1;
    const { expected, scale, orders } = this.#counterpart(run, mine, other, call, x, y, calls);
    if (other.slopes.data.length > 1 && y.shape.length > x.shape.length) {
      seen.lost = `a slope of shape [${other.stored.shape}] does not broadcast to an input of [${x.shape}]`;
    } else if (expected) {
      const moved = nearest(orders, expected, y);
      if (moved === null) seen.lost = `its output has shape [${y.shape}], expected [${expected.shape}]`;
      else {
        seen.along ??= new Comparison();
        seen.along.add(expected, moved, this.#limit(mine, y, expected, scale));
      }
    }
    const own = ownUlps(mine, orders, x, y);
    if (own !== null) seen.own = Math.max(seen.own ?? 0, own);
  }

  #limit(mine, y, expected, scale) {
    const spread = this.spreads && scale && sameShape(scale.shape, expected.shape) ? { scale, nFlips: 0 } : null;
    return limitOf(mine.extent, y.dtype, spread, expected);
  }

  /** Calls that do not need each other stand in any order: the first free one that gives the same. */
  #counterpart(run, mine, other, number, x, y, calls) {
    const key = (call) => JSON.stringify([run, mine.name, call]);
    const numbers = [number, ...mine.nodes.keys()].filter((one, i, all) => all.indexOf(one) === i);
    const free = numbers.filter((one) => !this.#taken.has(key(one)));
    const again = mine.nodes.length === other.nodes.length ? [] : numbers.filter((one) => !free.includes(one));
    const first = free[0] ?? number;
    let found;
    for (const place of [...free, ...again, first]) {
      const { expected = null, scale = null } = calls.get(JSON.stringify([mine.name, place])) ?? {};
      const orders = axisOrders(mine, other, x.shape, expected?.shape ?? null);
      found = { expected, scale, orders, place };
      const moved = expected && nearest(orders, expected, y);
      if (!moved) continue;
      const comparison = new Comparison();
      comparison.add(expected, moved, this.#limit(mine, y, expected, scale));
      if (comparison.verdict === "pass") break;
    }
    this.#taken.add(key(found.place));
    return found;
  }
}

export const isOff = (ulps) => ulps !== null && ulps > OWN_ULPS;
export const isRight = (seen) => seen.lost === null && !isOff(seen.own);

/** What its runs say against a layer, in words; null for nothing. */
export function behaviour(seen) {
  if (seen.lost) return seen.lost;
  if (seen.own === Infinity) return "in isolation it does not compute PReLU with the reference's slopes";
  if (isOff(seen.own)) return `isolated error ${seen.own.toLocaleString("en")} ulp`;
  if (seen.along?.verdict === "fail") return `its output differs from the reference's by up to ${seen.along.maxAbs.toPrecision(3)}`;
  return seen.along?.doubt ? `its output ${seen.along.doubt}` : null;
}
