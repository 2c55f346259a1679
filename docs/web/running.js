// onnxruntime-web: sessions, and arrays in and out of them.

import { array, fromBytes, kindOf, sizeOf } from "./arrays.js";
import { NoVerdict } from "./errors.js";

// A tensor may be called __proto__: make that a name like any other.
delete Object.prototype.__proto__;

const sentence = (error) => String(error?.message ?? error).split("ERROR_MESSAGE: ").at(-1).replace(/\s+/g, " ").slice(0, 300);

export class Runtime {
  /**
   * @param ort the module onnxruntime-web
   * @param provider "wasm" or "webgpu"
   * @param files the bytes of files with weights, by their names
   */
  constructor(ort, provider, files = new Map()) {
    this.ort = ort;
    this.provider = provider;
    this.files = files;
  }

  /** Load a model, hand its session to `use`, and let go of it. */
  async with(bytes, use) {
    let session;
    try {
      session = await this.ort.InferenceSession.create(bytes, {
        executionProviders: [this.provider],
        logSeverityLevel: 4,
        externalData: [...this.files].map(([path, data]) => ({ path, data })),
      });
    } catch (error) {
      throw new NoVerdict(`onnxruntime-web cannot load the model: ${sentence(error)}`);
    }
    try {
      return await use(session);
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
      const shapes = Object.entries(feeds).map(([name, { shape }]) => `${name} [${shape}]`).join(", ");
      throw new NoVerdict(`the model fails on inputs ${shapes}: ${sentence(error)}`);
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
