// The page: takes files, runs the check, shows what was found.

import { showLayers, showOutputs, showSlopes, showVerdict } from "./drawing.js";
import { NoVerdict } from "./errors.js";
import { judge } from "./judging.js";
import { readModel } from "./onnx.js";
import { readRecord } from "./record.js";
import { Runtime } from "./running.js";

const ENGINES = { wasm: "./ort/ort.wasm.min.mjs", webgpu: "./ort/ort.webgpu.min.mjs" };
const LARGEST = 2 * 10 ** 9;
const find = (id) => document.getElementById(id);
const chosen = { record: null, model: null, others: [] };
let current = 0; // of the last check that was started: what an earlier one finds is not shown

async function loadEngine(provider) {
  try {
    const ort = await import(ENGINES[provider]);
    ort.env.wasm.wasmPaths = new URL("ort/", document.baseURI).href;
    ort.env.wasm.numThreads = 1;
    ort.env.logLevel = "fatal";
    return ort;
  } catch (error) {
    throw new NoVerdict(`onnxruntime-web is not next to this page (${error.message}): \`make web\` puts it there`);
  }
}

async function bytesOf(file) {
  if (file.size > LARGEST) throw new NoVerdict(`${file.name} has ${file.size.toLocaleString("en")} bytes: this page reads files of up to ${LARGEST.toLocaleString("en")} bytes`);
  return new Uint8Array(await file.arrayBuffer());
}

const painted = () => new Promise((done) => { setTimeout(done, 0); });

async function check(provider, tell) {
  const record = await readRecord(await bytesOf(chosen.record));
  const model = readModel(await bytesOf(chosen.model));
  const files = new Map();
  for (const file of chosen.others) files.set(file.name, await bytesOf(file));
  await tell("loading onnxruntime-web");
  const ort = await loadEngine(provider);
  const runtime = new Runtime(ort, provider, files, find("cpu").checked);
  const result = await judge(record, model, runtime, tell);
  const rows = record.runs.length;
  const facts = [
    ["model", chosen.model.name],
    ["reference", `${chosen.record.name}, recorded from ${record.source} with ${record.producer}`],
    ["run with", `onnxruntime-web ${ort.env.versions.web}, ${provider === "wasm" ? "WebAssembly" : "WebGPU"}`],
    ["inputs", `${rows} recorded run${rows === 1 ? "" : "s"}, seed ${record.seed}`],
  ];
  return { result, facts };
}

const nothing = (text) => ({ verdict: "none", reasons: [], doubts: [text], notes: [], outputs: [], layers: [] });

async function verify() {
  if (!chosen.record || !chosen.model) return;
  current += 1;
  const mine = current;
  const tell = async (text) => {
    if (mine === current) find("progress").textContent = `${text}…`;
    await painted();
  };
  find("again").disabled = true;
  find("result").replaceChildren();
  await tell("reading the files");
  let found;
  try {
    found = await check(find("provider").value, tell);
  } catch (error) {
    const known = error instanceof NoVerdict;
    if (!known) console.error(error);
    const text = known ? error.message : `unexpected ${error.name}: ${error.message}. This is a bug in this page.`;
    found = { result: nothing(text), facts: [] };
  }
  if (mine !== current) return;
  const { result, facts } = found;
  find("progress").textContent = "";
  find("again").disabled = false;
  find("result").replaceChildren(
    showVerdict(result, facts),
    ...(result.outputs.length ? [showOutputs(result.outputs)] : []),
    ...(result.layers.length ? [showLayers(result.layers), showSlopes(result.layers)] : []),
  );
}

/** Files by their kind: a record, a model, and what else there is, which may hold weights. */
function take(files) {
  for (const file of files) {
    if (file.name.toLowerCase().endsWith(".npz")) chosen.record = file;
    else if (file.name.toLowerCase().endsWith(".onnx")) [chosen.model, chosen.others] = [file, []];
  }
  chosen.others.push(...[...files].filter(({ name }) => !/\.(npz|onnx)$/i.test(name)));
  if (!chosen.model && chosen.others.length) [chosen.model] = chosen.others.splice(0, 1);
  for (const kind of ["record", "model"]) {
    const file = chosen[kind];
    find(`slot-${kind}`).classList.toggle("full", file !== null);
    if (file) find(`slot-${kind}`).querySelector(".file").textContent = file.name;
  }
  verify();
}

find("record").addEventListener("change", ({ target }) => take(target.files));
find("model").addEventListener("change", ({ target }) => take(target.files));
find("again").addEventListener("click", verify);
find("cpu").addEventListener("change", verify);
find("provider").addEventListener("change", ({ target }) => {
  find("with-cpu").hidden = target.value !== "webgpu";
  verify();
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  window.addEventListener(kind, (event) => {
    event.preventDefault();
    find("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files);
  });
}
navigator.gpu?.requestAdapter().then((adapter) => {
  const option = find("provider").querySelector("[value=webgpu]");
  if (adapter) [option.disabled, option.textContent] = [false, "WebGPU"];
}, () => {});
