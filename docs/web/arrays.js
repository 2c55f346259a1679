// Arrays of numbers as numpy has them: {dtype, shape, data}, in C order.

const KINDS = {
  float64: Float64Array, float32: Float32Array, int64: BigInt64Array, uint64: BigUint64Array,
  int32: Int32Array, uint32: Uint32Array, int16: Int16Array, uint16: Uint16Array,
  int8: Int8Array, uint8: Uint8Array, bool: Uint8Array, float16: Uint16Array,
};

/** The typed array that holds a type; undefined for one that is not known. */
export const kindOf = (dtype) => (Object.hasOwn(KINDS, dtype) ? KINDS[dtype] : undefined);

export const sizeOf = (shape) => shape.reduce((product, size) => product * size, 1);
export const isFloat = (dtype) => dtype.startsWith("float") || dtype === "bfloat16";
export const sameShape = (a, b) => a.length === b.length && a.every((size, i) => size === b[i]);

/** An array; its bytes are copied where they do not lie at a multiple of the item's size. */
export function array(dtype, shape, data) {
  return { dtype, shape, data };
}

export function fromBytes(dtype, shape, bytes) {
  const Kind = kindOf(dtype);
  const whole = bytes.byteOffset % Kind.BYTES_PER_ELEMENT ? bytes.slice() : bytes;
  const data = new Kind(whole.buffer, whole.byteOffset, sizeOf(shape));
  return array(dtype, shape, data);
}

export const bytesOf = ({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Whether two arrays have the same shape, type and bits. */
export function sameBits(a, b) {
  if (a.dtype !== b.dtype || !sameShape(a.shape, b.shape)) return false;
  const left = bytesOf(a);
  const right = bytesOf(b);
  return left.every((byte, place) => byte === right[place]);
}

const stridesOf = (shape) => {
  const strides = new Array(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
};

/** The flat places, in the array of a shape, of the elements of an array with other strides. */
function places(shape, strides) {
  const found = new Uint32Array(sizeOf(shape));
  const at = new Array(shape.length).fill(0);
  let place = 0;
  for (let i = 0; i < found.length; i += 1) {
    found[i] = place;
    for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
      at[axis] += 1;
      place += strides[axis];
      if (at[axis] < shape[axis]) break;
      place -= strides[axis] * at[axis];
      at[axis] = 0;
    }
  }
  return found;
}

const isPlain = (order) => order.every((axis, place) => axis === place);

/** As numpy.transpose. */
export function transpose(values, order) {
  if (isPlain(order)) return values;
  const strides = stridesOf(values.shape);
  const shape = order.map((axis) => values.shape[axis]);
  const from = places(shape, order.map((axis) => strides[axis]));
  const data = new values.data.constructor(from.length);
  for (let i = 0; i < from.length; i += 1) data[i] = values.data[from[i]];
  return array(values.dtype, shape, data);
}

/** For each element of a shape, the flat place of its counterpart in what broadcasts to it. */
function broadcastPlaces(small, shape) {
  const padded = [...new Array(shape.length - small.length).fill(1), ...small];
  const strides = stridesOf(padded).map((stride, axis) => (padded[axis] === 1 ? 0 : stride));
  return places(shape, strides);
}

/** An array as numpy broadcasts it to a shape. */
export function expandedTo(values, shape) {
  if (sameShape(values.shape, shape)) return values;
  const from = broadcastPlaces(values.shape, shape);
  const data = new values.data.constructor(from.length);
  for (let i = 0; i < from.length; i += 1) data[i] = values.data[from[i]];
  return array(values.dtype, shape, data);
}

/** Whether one shape broadcasts to another; null stands for any size. */
export function broadcasts(small, shape) {
  if (small.length > shape.length) return false;
  const tail = shape.slice(shape.length - small.length);
  return small.every((size, i) => size === 1 || size === tail[i] || tail[i] === null);
}

/** Rows of a tensor in which each of `count` rows has an equal share of an axis. */
export function rowsOf(values, axis, count, rows) {
  const before = sizeOf(values.shape.slice(0, axis));
  const after = sizeOf(values.shape.slice(axis + 1));
  const share = (values.shape[axis] / count) * after;
  const data = new values.data.constructor(before * rows.length * share);
  let to = 0;
  for (let outer = 0; outer < before; outer += 1) {
    for (const row of rows) {
      const from = (outer * count + row) * share;
      data.set(values.data.subarray(from, from + share), to);
      to += share;
    }
  }
  const shape = [...values.shape];
  shape[axis] = (values.shape[axis] / count) * rows.length;
  return array(values.dtype, shape, data);
}
