// onnxruntime-web's wasm build in node: FOLDER MODEL.onnx INPUT SHAPE OUTPUT
import { createRequire } from "node:module";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [folder, model, given, shape, made] = process.argv.slice(2);
const ort = createRequire(join(folder, "package.json"))("onnxruntime-web");
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(readFileSync(model), {
  executionProviders: ["wasm"],
});
const raw = readFileSync(given);
const values = new Float32Array(raw.buffer, raw.byteOffset, raw.byteLength / 4);
const x = new ort.Tensor("float32", values.slice(), shape.split(",").map(Number));
const found = await session.run({ [session.inputNames[0]]: x });
const y = found[session.outputNames[0]].data;
writeFileSync(made, Buffer.from(y.buffer, y.byteOffset, y.byteLength));
