// Times models in turns on onnxruntime-web's WebAssembly build, one thread: FOLDER-OF-THE-PACKAGE,
// and on standard input {rounds, models: [[name, path, shape]]}. Prints the times of each, in ms.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const ort = createRequire(join(process.argv[2], "package.json"))("onnxruntime-web");
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "fatal";
const { rounds, models } = JSON.parse(readFileSync(0, "utf8"));

function normal(size) {
  let state = 12345;
  const draw = () => ((state = (Math.imul(state, 1103515245) + 12345) >>> 0) / 2 ** 32) || 0.5;
  return Float32Array.from({ length: size }, () => Math.sqrt(-2 * Math.log(draw())) * Math.cos(2 * Math.PI * draw()));
}

const runs = [];
for (const [name, path, shape] of models) {
  const session = await ort.InferenceSession.create(readFileSync(path), { executionProviders: ["wasm"] });
  const x = new ort.Tensor("float32", normal(shape.reduce((a, b) => a * b, 1)), shape);
  runs.push({ name, run: () => session.run({ [session.inputNames[0]]: x }), times: [] });
}
for (let round = -2; round < rounds; round += 1) {
  for (const one of round % 2 ? runs : [...runs].reverse()) {
    const start = performance.now();
    await one.run();
    if (round >= 0) one.times.push(performance.now() - start);
  }
}
console.log(JSON.stringify(Object.fromEntries(runs.map(({ name, times }) => [name, times]))));
