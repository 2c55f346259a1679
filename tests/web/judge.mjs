// What the page says of models: PAGE-FOLDER PACKAGE, and on standard input a JSON list of
// [record, model] paths. Prints a JSON list of {verdict, reasons, doubts, notes, layers}.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const [page, folder] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(join(page, name)));
const [{ readRecord }, { readModel, dataFiles }, { judge }, { Runtime }, { NoVerdict }] = await Promise.all(
  ["record.js", "onnx.js", "judging.js", "running.js", "errors.js"].map(load));
const require = createRequire(join(folder, "package.json"));
const ort = require("onnxruntime-web");
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "fatal";

const bytesOf = (path) => new Uint8Array(readFileSync(path));

async function answer([recordPath, modelPath]) {
  try {
    const record = await readRecord(bytesOf(recordPath));
    const model = readModel(bytesOf(modelPath));
    const beside = dataFiles(model).map((name) => [name, bytesOf(join(dirname(modelPath), basename(name)))]);
    const found = await judge(record, model, new Runtime(ort, "wasm", new Map(beside)));
    const layers = found.layers.map(({ name, verdict, equal, words, own, wrong }) => ({ name, verdict, equal, words, own, wrong: wrong?.length }));
    const outputs = found.outputs.map(({ name, verdict, comparison }) => ({ name, verdict, share: comparison.worst, limit: comparison.atWorst, maxAbs: comparison.maxAbs }));
    return { ...found, layers, outputs };
  } catch (error) {
    if (!(error instanceof NoVerdict)) return { verdict: "crash", reasons: [], doubts: [error.stack], layers: [] };
    return { verdict: "none", reasons: [], doubts: [error.message], notes: [], layers: [], outputs: [] };
  }
}

const answers = [];
for (const pair of JSON.parse(readFileSync(0, "utf8"))) answers.push(await answer(pair));
console.log(JSON.stringify(answers));
