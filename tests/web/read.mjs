// What the page's readers make of files: PAGE-FOLDER, and on standard input a JSON list of
// [kind, path]. Prints a JSON list: what was read, or {error} with a sentence, or {crash}.
import { readFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const page = process.argv[2];
const load = (name) => import(pathToFileURL(join(page, name)));
const [{ openNpz }, { readRecord }, { readModel, withOutputs, valuesOf }, { readLayers }, { NoVerdict }, { bytesOf }] =
  await Promise.all(["npz.js", "record.js", "onnx.js", "layers.js", "errors.js", "arrays.js"].map(load));

const hash = (values) => createHash("sha256").update(bytesOf(values)).digest("hex");
const summary = (values) => ({ dtype: values.dtype, shape: values.shape, hash: hash(values) });
const model = (bytes) => {
  const found = readModel(bytes);
  const layers = readLayers(found, new Map());
  return {
    inputs: found.inputs, outputs: found.outputs.map(({ name }) => name), opset: found.opset,
    tensors: Object.fromEntries([...found.initializers.keys()].map((name) => {
      const values = valuesOf(found, name);
      return [name, values && summary(values)];
    })),
    layers: layers.map(({ name, nodes, slopes, axes }) => ({ name, axes, calls: nodes.length, slopes: slopes && summary(slopes) })),
  };
};

const KINDS = {
  async npz(bytes) {
    const file = openNpz(bytes);
    const found = {};
    for (const name of file.names) found[name] = summary(await file.array(name));
    return found;
  },
  async record(bytes) {
    const found = await readRecord(bytes);
    return { outputs: found.outputNames, layers: found.layers.map(({ layer }) => layer.name) };
  },
  onnx: async (bytes) => model(bytes),
  tapped: async (bytes) => ({ base64: Buffer.from(withOutputs(readModel(bytes), ["h", "__proto__"])).toString("base64") }),
};

const answers = [];
for (const [kind, path] of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    answers.push(await KINDS[kind](new Uint8Array(readFileSync(path))));
  } catch (error) {
    answers.push(error instanceof NoVerdict ? { error: error.message } : { crash: error.stack });
  }
}
console.log(JSON.stringify(answers));
