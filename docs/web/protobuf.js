// The wire format of protocol buffers, as far as ONNX files need it.

import { NoVerdict } from "./errors.js";

const damaged = () => new NoVerdict("the model is not a valid ONNX file: it is damaged, or something else");

/** The fields of a message, in order: [number, value], a value being a BigInt or bytes. */
export function* fields(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= bytes.length) throw damaged();
      const byte = bytes[at];
      at += 1;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
    throw damaged();
  };
  const taken = (length) => {
    if (length > bytes.length - at) throw damaged();
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = varint();
    const number = Number(tag >> 3n);
    if (number === 0) throw damaged();
    switch (Number(tag & 7n)) {
      case 0: yield [number, varint()]; break;
      case 1: yield [number, taken(8)]; break;
      case 2: yield [number, taken(Number(varint()))]; break;
      case 5: yield [number, taken(4)]; break;
      default: throw damaged();
    }
  }
}

/** The fields of a message by their numbers, each a list of all its values. */
export function message(bytes) {
  const found = new Map();
  for (const [number, value] of fields(bytes)) {
    const known = found.get(number);
    if (known === undefined) found.set(number, [value]);
    else known.push(value);
  }
  return found;
}

const decoder = new TextDecoder();
export const text = (value) => {
  if (!(value instanceof Uint8Array)) throw damaged();
  return decoder.decode(value);
};
export const whole = (value) => {
  if (typeof value !== "bigint") throw damaged();
  return Number(BigInt.asIntN(64, value));
};

/** Whole numbers of a repeated field, packed or not. */
export function wholes(values) {
  const found = [];
  for (const value of values) {
    if (typeof value === "bigint") found.push(whole(value));
    else for (let rest = value; rest.length; ) {
      let end = 0;
      while (end < rest.length && rest[end] >= 128) end += 1;
      for (const [, number] of fields(new Uint8Array([8, ...rest.subarray(0, end + 1)]))) found.push(whole(number));
      rest = rest.subarray(end + 1);
    }
  }
  return found;
}

/** The bytes of a whole number. */
export function varintBytes(value) {
  const found = [];
  let rest = BigInt(value);
  do {
    found.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return new Uint8Array(found);
}

export function joined(parts) {
  const found = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    found.set(part, at);
    at += part.length;
  }
  return found;
}

/** A field that holds bytes: a text, a message. */
export function lengthField(number, bytes) {
  const content = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes;
  return joined([varintBytes((number << 3) | 2), varintBytes(content.length), content]);
}

export const wholeField = (number, value) => joined([varintBytes(number << 3), varintBytes(value)]);
