// onnxruntime-web: sessions, and arrays in and out of them.

import { array, fromBytes, kindOf, sizeOf } from "./arrays.js";
import { NoVerdict } from "./errors.js";

// A tensor may be called __proto__: make that a name like any other.
delete Object.prototype.__proto__;

const sentence = (error) => String(error?.message ?? error).split("ERROR_MESSAGE: ").at(-1).replace(/\s+/g, " ").slice(0, 300);

const VERBOSE = /\[[VI]:onnxruntime/;
let heard = null; // takes the lines of the log while a session is loaded

/** onnxruntime-web keeps the functions of the console that it finds first: they stay in its place. */
function listen() {
  if (console.prelu) return;
  console.prelu = true;
  for (const name of ["log", "info", "debug", "warn", "error"]) {
    const say = console[name].bind(console);
    console[name] = (...words) => {
      const text = words.join(" ");
      if (heard !== null) heard.push(...text.split("\n"));
      else if (!VERBOSE.test(text)) say(...words);
    };
  }
}

/**
 * What loads a session, and the nodes that it gives to the CPU; null where it does not say. The log
 * is the only place where onnxruntime-web tells that.
 */
async function placed(load) {
  listen();
  heard = [];
  try {
    const session = await load();
    return [session, cpuNodes(heard)];
  } finally {
    heard = null;
  }
}

/** The nodes that the lines of a log name under the CPU; null where they do not say. */
export function cpuNodes(lines) {
  let known = false;
  let onCpu = false;
  const found = [];
  for (const line of lines) {
    const place = /(?:All nodes|Node\(s\)) placed on \[(\w+)\]/.exec(line);
    if (place) [known, onCpu] = [true, place[1] === "CPUExecutionProvider"];
    const node = /VerifyEachNodeIsAssignedToAnEp\]\s+(\w+) \((.*)\)\s*$/.exec(line);
    if (node && onCpu && !place) found.push(`${node[1]} ${node[2]}`.trim());
    else if (place && onCpu && line.includes("All nodes")) found.push("all nodes");
  }
  return known ? found : null;
}

export class Runtime {
  /**
   * @param ort the module onnxruntime-web
   * @param provider "wasm" or "webgpu"
   * @param files the bytes of files with weights, by their names
   * @param mayUseCpu whether nodes may run on the CPU where the provider has no kernel for them
   */
  constructor(ort, provider, files = new Map(), mayUseCpu = false) {
    this.ort = ort;
    this.provider = provider;
    this.files = files;
    this.mayUseCpu = mayUseCpu;
  }

  /** Load a model, hand its session and its nodes on the CPU to `use`, and let go of it. */
  async with(bytes, use) {
    let session;
    const options = { executionProviders: [this.provider], externalData: [...this.files].map(([path, data]) => ({ path, data })) };
    const create = (level) => this.ort.InferenceSession.create(bytes, { ...options, logSeverityLevel: level });
    let onCpu = [];
    try {
      if (this.provider === "wasm") session = await create(4);
      else [session, onCpu] = await placed(() => create(0));
    } catch (error) {
      throw new NoVerdict(`onnxruntime-web cannot load the model: ${sentence(error)}`);
    }
    try {
      return await use(session, onCpu);
    } finally {
      await session.release();
    }
  }

  /** Run a session: arrays by name in and out. */
  async run(session, feeds, names) {
    const given = {};
    for (const [name, { dtype, shape, data }] of Object.entries(feeds)) given[name] = new this.ort.Tensor(dtype, data, shape);
    let found;
    try {
      found = await session.run(given, [...new Set(names)]);
    } catch (error) {
      const shapes = Object.entries(feeds).map(([name, { shape }]) => `${name} of shape ${shape.join("x")}`).join(", ");
      throw new NoVerdict(`the model fails on inputs (${shapes}): ${sentence(error)}`);
    }
    const results = {};
    for (const name of names) {
      const { type, dims, data } = found[name];
      if (kindOf(type) === undefined || data.length !== sizeOf(dims)) throw new NoVerdict(`output ${name} is of type ${type}; expected numbers`);
      results[name] = type === "float16" ? fromBytes(type, [...dims], new Uint8Array(data.buffer)) : array(type, [...dims], data.slice());
    }
    return results;
  }
}
