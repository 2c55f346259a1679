// Which axis of an array is which of another model's (prelu_tools/core/prelu/alignment.py).

import { broadcasts } from "./arrays.js";

const range = (count) => Array.from({ length: count }, (_, i) => i);
export const channelsFirst = (rank) => [0, rank - 1, ...range(rank - 1).slice(1)];
export const channelsLast = (rank) => [0, ...range(rank).slice(2), 1];
export const identity = range;
export const inverse = (order) => range(order.length).sort((a, b) => order[a] - order[b]);
export const sameOrder = (a, b) => a.length === b.length && a.every((axis, i) => axis === b[i]);
export const isPlain = (order) => order.every((axis, i) => axis === i);

/** What frameworks do: nothing, channels to the front, channels to the end. */
export function usual(rank) {
  const orders = rank < 3 ? [range(rank)] : [range(rank), channelsFirst(rank), channelsLast(rank)];
  return orders.filter((order, i) => orders.findIndex((other) => sameOrder(order, other)) === i);
}

/** Those orders that take one shape to another; null stands for any size. */
export function taking(orders, source, target) {
  if (source.length !== target.length) return [];
  const fits = (axis, size) => source[axis] === size || source[axis] === null || size === null;
  return orders.filter((order) => order.length === source.length && order.every((axis, i) => fits(axis, target[i])));
}

/** Those in which slopes of a shape lie on an input of another. */
export function laying(orders, slopes, shape) {
  if (slopes.length !== shape.length) return [];
  return orders.filter((order) => order.length === slopes.length && broadcasts(order.map((axis) => slopes[axis]), shape));
}

/** How one file's axes became another's, by what each states of a common source; null if unknown. */
export function movedFrom(reference, axes) {
  if (!reference || !axes) return axes ?? null;
  if (axes.length !== reference.length) return null;
  const back = inverse(reference);
  return axes.map((axis) => back[axis]);
}
