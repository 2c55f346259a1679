// Arrays of an .npz file: a zip archive of arrays in numpy's format. Nothing in it is run, and it is
// read within limits.

import { fromBytes, kindOf, sizeOf } from "./arrays.js";
import { NoVerdict } from "./errors.js";

const LEAST = 250 * 2 ** 20; // bytes that any file may unpack to; a large one five times its size
const MOST_MEMBERS = 200_000;
const TYPES = {
  f8: "float64", f4: "float32", f2: "float16", i8: "int64", i4: "int32", i2: "int16", i1: "int8",
  u8: "uint64", u4: "uint32", u2: "uint16", u1: "uint8", b1: "bool",
};

const damaged = (what) => new NoVerdict(`the record is damaged: ${what}`);

/** The members of a zip archive by their names. */
function members(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 22 || view.getUint32(0, true) !== 0x04034b50) {
    throw new NoVerdict("the record is not an .npz file: expected what `prelu-tools record` wrote");
  }
  let end = bytes.length - 22;
  while (end >= 0 && end > bytes.length - 65_600 && view.getUint32(end, true) !== 0x06054b50) end -= 1;
  if (end < 0 || view.getUint32(end, true) !== 0x06054b50) throw damaged("its list of members is missing");
  let count = view.getUint16(end + 10, true);
  let at = view.getUint32(end + 16, true);
  if (at === 0xffffffff || count === 0xffff) {
    const wide = Number(view.getBigUint64(end - 20 + 8, true));
    count = Number(view.getBigUint64(wide + 32, true));
    at = Number(view.getBigUint64(wide + 48, true));
  }
  if (count > MOST_MEMBERS) throw damaged(`it has ${count} members`);
  const found = new Map();
  let total = 0;
  for (let i = 0; i < count; i += 1) {
    if (view.getUint32(at, true) !== 0x02014b50) throw damaged("its list of members is cut off");
    const [method, packed, size] = [view.getUint16(at + 10, true), view.getUint32(at + 20, true), view.getUint32(at + 24, true)];
    const [nameLength, extra, comment] = [28, 30, 32].map((place) => view.getUint16(at + place, true));
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    if (packed === 0xffffffff || size === 0xffffffff) throw damaged(`${name} has more than 4 GB`);
    if (method !== 0 && method !== 8) throw damaged(`${name} is packed in an unsupported way`);
    if (found.has(name)) throw damaged(`it has ${name} twice`);
    found.set(name, { method, packed, size, offset: view.getUint32(at + 42, true), crc: view.getUint32(at + 16, true) });
    total += size;
    at += 46 + nameLength + extra + comment;
  }
  if (total > Math.max(LEAST, 5 * bytes.length)) {
    throw new NoVerdict(`the record is rejected: it unpacks to ${total.toLocaleString("en")} bytes`);
  }
  return found;
}

const CRC = new Uint32Array(256).map((_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function checksum(bytes) {
  let value = 0xffffffff;
  for (let i = 0; i < bytes.length; i += 1) value = CRC[(value ^ bytes[i]) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

async function unpacked(bytes, name, member) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(member.offset, true) !== 0x04034b50) throw damaged(`${name} is not where it should be`);
  const start = member.offset + 30 + view.getUint16(member.offset + 26, true) + view.getUint16(member.offset + 28, true);
  const packed = bytes.subarray(start, start + member.packed);
  if (packed.length !== member.packed) throw damaged(`${name} is cut off`);
  let found = packed;
  if (member.method === 8) {
    found = new Uint8Array(member.size);
    let at = 0;
    const reader = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      if (at + part.value.length > member.size) throw damaged(`${name} is longer than it says`);
      found.set(part.value, at);
      at += part.value.length;
    }
    if (at !== member.size) throw damaged(`${name} is cut off`);
  }
  if (checksum(found) !== member.crc) throw damaged(`${name} has a wrong checksum`);
  return found;
}

/** One array in numpy's format. */
export function readArray(bytes, name) {
  const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
  if (bytes.length < 12 || !magic.every((byte, i) => bytes[i] === byte)) throw damaged(`${name} is not an array`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes[6] !== 1 && bytes[6] !== 2) throw damaged(`${name} is an array of version ${bytes[6]}`);
  const wide = bytes[6] === 2;
  const start = wide ? 12 : 10;
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = new TextDecoder("latin1").decode(bytes.subarray(start, start + Math.min(length, 4096)));
  const parts = /^\{'descr': '([<|>=])(\w+)', 'fortran_order': (True|False), 'shape': \(([\d, ]*)\), \}\s*$/.exec(header);
  if (parts === null) throw damaged(`${name} has an unsupported header`);
  const dtype = Object.hasOwn(TYPES, parts[2]) ? TYPES[parts[2]] : undefined;
  if (dtype === undefined || parts[1] === ">" || parts[3] === "True") {
    throw damaged(`${name} is of type ${parts[1]}${parts[2]}; expected numbers`);
  }
  const shape = parts[4].split(",").filter((text) => text.trim()).map(Number);
  const data = bytes.subarray(start + length);
  if (data.length !== sizeOf(shape) * kindOf(dtype).BYTES_PER_ELEMENT) throw damaged(`${name} has ${data.length} bytes`);
  return fromBytes(dtype, shape, data);
}

/** An archive whose arrays are read when they are asked for: await `array(name)`. */
export function openNpz(bytes) {
  let found;
  try {
    found = members(bytes);
  } catch (error) {
    throw error instanceof RangeError ? damaged("it is cut off") : error;
  }
  return {
    names: [...found.keys()].filter((name) => name.endsWith(".npy")).map((name) => name.slice(0, -4)),
    async array(name) {
      const member = found.get(`${name}.npy`);
      if (member === undefined) throw damaged(`it has no array ${name}`);
      try {
        return readArray(await unpacked(bytes, name, member), name);
      } catch (error) {
        if (error instanceof NoVerdict) throw error;
        throw damaged(`${name} cannot be unpacked (${error.message})`);
      }
    },
  };
}
