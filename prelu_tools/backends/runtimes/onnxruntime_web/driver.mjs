// onnxruntime-web's WebAssembly build, told what to do on standard input: FOLDER-OF-THE-PACKAGE
//
// A message is four bytes with the length of a header, the header in JSON, and then as many bytes
// as the sizes in its "sizes" say. Each request has one answer on standard output.
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(import.meta.url);
const fs = require("node:fs");
const write = fs.writeSync.bind(fs);
// Whatever else would be printed must not end up between the answers.
fs.writeSync = (fd, ...rest) => write(fd === 1 ? 2 : fd, ...rest);
for (const name of ["log", "info", "debug", "warn"]) console[name] = console.error;
// A tensor may be called __proto__: make that a name like any other.
delete Object.prototype.__proto__;

const ort = createRequire(join(process.argv[2], "package.json"))("onnxruntime-web");
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "fatal";

function read(length) {
  const found = Buffer.allocUnsafeSlow(length);
  for (let at = 0; at < length; ) {
    const count = fs.readSync(0, found, at, length - at, null);
    if (count === 0) process.exit(0); // whoever started this has gone
    at += count;
  }
  return found;
}

function readMessage() {
  const header = JSON.parse(read(read(4).readUInt32LE(0)).toString("utf8"));
  return { ...header, parts: header.sizes.map(read) };
}

function send(bytes) {
  for (let at = 0; at < bytes.length; ) at += write(1, bytes, at, bytes.length - at);
}

function answer(header, parts = []) {
  const text = Buffer.from(JSON.stringify({ ...header, sizes: parts.map((p) => p.byteLength) }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length, 0);
  send(length);
  send(text);
  for (const part of parts) send(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
}

const KINDS = {
  float64: Float64Array, float32: Float32Array, float16: Uint16Array, int64: BigInt64Array,
  uint64: BigUint64Array, int32: Int32Array, uint32: Uint32Array, int16: Int16Array,
  uint16: Uint16Array, int8: Int8Array, uint8: Uint8Array, bool: Uint8Array,
};

function tensor({ dtype, shape }, bytes) {
  let Kind = KINDS[dtype];
  if (Kind === undefined) throw new Error(`it takes no tensors of type ${dtype}`);
  if (dtype === "float16" && typeof Float16Array !== "undefined") Kind = Float16Array;
  const values = new Kind(bytes.buffer, bytes.byteOffset, bytes.byteLength / Kind.BYTES_PER_ELEMENT);
  return new ort.Tensor(dtype, values, shape);
}

const sessions = new Map();
let next = 0;

const REQUESTS = {
  async load({ parts }) {
    const session = await ort.InferenceSession.create(parts[0], {
      executionProviders: ["wasm"],
      logSeverityLevel: 4,
    });
    sessions.set(next, session);
    return [{ session: next++, outputs: session.outputNames }];
  },

  async run({ session, inputs, outputs, parts }) {
    const feeds = {};
    inputs.forEach((input, place) => (feeds[input.name] = tensor(input, parts[place])));
    const found = await sessions.get(session).run(feeds, outputs);
    const tensors = outputs.map((name) => found[name]);
    return [
      { outputs: tensors.map(({ type, dims }) => ({ dtype: type, shape: dims })) },
      tensors.map(({ type, data }) => {
        if (KINDS[type] === undefined) throw new Error(`it gives a tensor of type ${type}`);
        return data;
      }),
    ];
  },

  async release({ session }) {
    await sessions.get(session).release();
    sessions.delete(session);
    return [{}];
  },
};

for (;;) {
  const request = readMessage();
  try {
    answer(...(await REQUESTS[request.kind](request)));
  } catch (error) {
    answer({ error: String(error?.message ?? error).slice(0, 2000) || "it gave no message" });
    // After these nothing that it computes can be relied on.
    if (!(error instanceof Error) || error instanceof WebAssembly.RuntimeError) process.exit(1);
    if (error instanceof RangeError || /abort|out of memory|bad_alloc/i.test(error.message)) process.exit(1);
  }
}
