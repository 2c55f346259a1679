// The verdict on a candidate: the one of `prelu-tools verify RECORD MODEL`, or none where this page
// cannot look at what the verdict depends on.

import { identity, inverse, sameOrder, taking, usual } from "./alignment.js";
import { isFloat, sameBits, sameShape, transpose } from "./arrays.js";
import { Comparison, limitOf } from "./comparing.js";
import { NoVerdict } from "./errors.js";
import { LayerJudge, behaviour, isOff, isRight } from "./layerjudge.js";
import { pairLayers, readLayers } from "./layers.js";
import { linkInputs, pairOutputs, partsOf, rowCount, takeRows } from "./linking.js";
import { dataFiles, statedOrders, withOutputs } from "./onnx.js";
import { expectedCalls, expectedOutputs, referenceLayers } from "./reference.js";
import { align, compareSlopes, differing } from "./slopes.js";
import { trySpecialValues } from "./special.js";

const RANDOM = ["RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"];
const MODES = ["Dropout", "BitmaskDropout", "BiasDropout", "BitmaskBiasDropout"];
const RANDOM_DOUBTS = ["random_outputs", "random_node", "dropout_in_training_mode"];

const named = (nodes) => nodes.slice(0, 3).map((node) => `${node.op} ${node.name || node.outputs[0]}`).join(", ");

/**
 * What of a model this page cannot look at: each is a sentence, and rules out any verdict. What is in
 * there may round otherwise than float32 does, so that a difference proves nothing either.
 */
function unseen(model) {
  const found = [];
  const bodies = model.nodes.filter((node) => node.hasBody);
  if (bodies.length) found.push(`graphs inside ${named(bodies)} were not checked`);
  if (model.nFunctions) found.push("the functions of the model were not checked");
  return found;
}

const isRandomNode = (node) => RANDOM.includes(node.op)
  || (MODES.includes(node.op) && node.inputs.length > 2)
  || (node.op === "BatchNormalization" && (node.attributes.has("training_mode") || node.outputs.filter(Boolean).length > 1));

function refuseNarrow(model) {
  const quantized = model.nodes.filter((node) => /Quant|^Q[A-Z]|Integer$/.test(node.op));
  if (quantized.length) throw new NoVerdict(`the model is quantized (${named(quantized)}): this page has limits for float32 only; use prelu-tools verify`);
  const narrow = [...model.shapes.values()].find(({ dtype }) => dtype === "float16" || dtype === "bfloat16");
  const stored = [...model.initializers].find(([, { tensor }]) => [10n, 16n].includes(tensor.get(2)?.[0]));
  const cast = model.nodes.find((node) => node.op === "Cast" && [10n, 16n].includes(node.attributes.get("to")?.get(3)?.[0]));
  const name = narrow?.name ?? stored?.[0] ?? cast?.name;
  if (name !== undefined) throw new NoVerdict(`the model computes in float16 or bfloat16 (${name}): this page has limits for float32 only; use prelu-tools verify`);
}

/**
 * Compare a model with a record.
 *
 * @param record of `readRecord`
 * @param model of `readModel`
 * @param runtime a `Runtime`
 * @param tell is told what is being done
 * @returns {{verdict: "pass"|"fail"|"none", reasons, doubts, notes, outputs, layers}}
 */
export async function judge(record, model, runtime, tell = () => {}) {
  const missing = dataFiles(model).find((name) => !runtime.files.has(name));
  if (missing !== undefined) throw new NoVerdict(`the model's weights are in ${missing}: drop that file with it`);
  refuseNarrow(model);
  if (record.computes_in) throw new NoVerdict(`the reference computes in ${record.computes_in}: this page has limits for float32 only; use prelu-tools verify`);
  const links = linkInputs(record.inputs, model.inputs, statedOrders(model, "input"));
  const references = await referenceLayers(record);
  const found = readLayers(model, runtime.files);
  const hidden = unseen(model);
  const state = { doubts: [...hidden], reasons: [], layerReasons: [], notes: [], unsure: hidden.length > 0 };
  for (const { text, code } of record.doubts) {
    state.doubts.push(text);
    state.unsure ||= RANDOM_DOUBTS.includes(code);
  }
  for (const node of model.nodes.filter(isRandomNode)) {
    state.doubts.push(`${node.op} ${node.name || node.outputs[0]} may draw random numbers or depend on the whole batch`);
    state.unsure = true;
  }
  const parts = [];
  for await (const part of partsOf(record, links)) parts.push({ ...part, ...(await partOf(record, part)) });
  if (!parts.length) throw new NoVerdict("the record has no run at the sizes that the model fixes: record it again with these (--input)");
  const results = await runAll(record, model, runtime, links, parts, state, tell);
  const outputs = judgeOutputs(record, links, parts, results, statedOrders(model, "output"), state);
  const layers = await judgeLayers(record, model, runtime, links, parts, { references, found, outputs }, state, tell);
  const failed = outputs.some((one) => one.verdict === "fail");
  if (failed && links.some((link) => link.isOpen)) {
    throw new NoVerdict("outputs differ, and the order of the inputs' axes cannot be told from their shapes: use prelu-tools verify with --layout");
  }
  return conclude(state, outputs, layers);
}

async function partOf(record, part) {
  const outputs = await expectedOutputs(record, part);
  const calls = await expectedCalls(record, part);
  return { outputs, calls };
}

const feedsOf = (links, feeds) => Object.fromEntries(links.map(({ mine, other, order }) => [other.name, transpose(feeds[mine.name], order)]));

async function runAll(record, model, runtime, links, parts, state, tell) {
  const names = model.outputs.map(({ name }) => name);
  return runtime.with(model.bytes, async (session, onCpu) => {
    notePlaces(runtime, onCpu, state);
    const results = [];
    const sizes = new Map();
    for (const [number, part] of parts.entries()) {
      await tell(`running the model, ${number + 1} of ${parts.length}`);
      results.push(await runtime.run(session, feedsOf(links, part.feeds), names));
      const key = JSON.stringify(Object.values(part.feeds).map(({ shape }) => shape));
      if (!sizes.has(key)) sizes.set(key, number);
    }
    for (const number of sizes.values()) {
      const again = await runtime.run(session, feedsOf(links, parts[number].feeds), names);
      if (!names.every((name) => sameBits(again[name], results[number][name]))) {
        state.doubts.push("the model gives different outputs when it is run again on the same inputs");
        state.unsure = true;
        break;
      }
    }
    return results;
  });
}

function notePlaces(runtime, onCpu, state) {
  if (onCpu === null) state.doubts.push("onnxruntime-web does not say which nodes ran on WebGPU");
  else if (onCpu.length) {
    const nodes = `${onCpu.length} node${onCpu.length === 1 ? "" : "s"} ran on the CPU and not on WebGPU (${onCpu.slice(0, 5).join(", ")}${onCpu.length > 5 ? ", ..." : ""})`;
    if (runtime.mayUseCpu) state.notes.push(nodes);
    else state.doubts.push(`${nodes}; to accept that, tick "nodes may run on the CPU"`);
  } else if (runtime.provider !== "wasm") state.notes.push("every node ran on WebGPU");
}

function judgeOutputs(record, links, parts, results, stated, state) {
  const given = Object.fromEntries(record.outputNames.map((name) => [name, parts[0].outputs[name].given]));
  const pairs = pairOutputs(given, results[0]);
  const known = parts.every((part) => Object.values(part.outputs).every(({ spread }) => spread !== null));
  const moved = new Set(links.filter(({ order }) => order.some((axis, i) => axis !== i)).map(({ order }) => order.length));
  interfaceFaults(record, results[0], pairs, state);
  const parities = pairs.map(([mine, theirs]) => {
    const comparison = new Comparison();
    let words = null;
    for (const [i, part] of parts.entries()) {
      const { expected, spread } = part.outputs[mine];
      const y = toReference(expected, results[i][theirs], moved, stated.get(theirs));
      if (!sameShape(expected.shape, y.shape)) {
        words = `output ${theirs} has shape [${y.shape}], expected [${expected.shape}]`;
        break;
      }
      comparison.add(expected, y, limitOf(record.outputs[mine], y.dtype, known ? spread : null, expected));
    }
    const verdict = words ? "fail" : comparison.verdict;
    if (verdict === "fail") state.reasons.push(words ?? `output ${theirs}: ${comparison.wrong} values differ by up to ${comparison.maxAbs.toPrecision(3)}${share(comparison)}`);
    if (verdict === "inconclusive") state.doubts.push(`output ${theirs} ${comparison.doubt}`);
    return { name: theirs, shape: results[0][theirs].shape, comparison, verdict };
  });
  unmoved(record, parts, state);
  return parities;
}

const share = ({ worst }) => (worst > 1 ? `, ${worst.toPrecision(3)} times their limit` : "");

/** The candidate's output in the reference's axes, where an input of its rank was moved, or the file says so. */
function toReference(expected, y, moved, stated) {
  const rank = expected.shape.length;
  const orders = taking(usual(rank), expected.shape, y.shape);
  const mayMove = moved.has(rank) || orders.some((order) => stated && sameOrder(order, stated));
  if (!mayMove || rank < 3) return y;
  const fitting = orders.map((order) => transpose(y, inverse(order)));
  const distance = ({ data }) => data.reduce((sum, value, i) => sum + Math.abs(Number(value) - Number(expected.data[i])), 0);
  return fitting.length ? fitting.reduce((best, one) => (distance(one) < distance(best) ? one : best)) : y;
}

function interfaceFaults(record, results, pairs, state) {
  const [mine, theirs] = [new Set(pairs.map(([name]) => name)), new Set(pairs.map(([, name]) => name))];
  for (const name of record.outputNames) if (!mine.has(name)) state.reasons.push(`output ${name} is missing in the model`);
  for (const name of Object.keys(results)) if (!theirs.has(name)) state.reasons.push(`output ${name}: the reference has no such output`);
  for (const [name, other] of pairs) {
    if (isFloat(record.outputs[name].dtype) !== isFloat(results[other].dtype)) {
      state.reasons.push(`output ${other} is ${results[other].dtype}, expected ${record.outputs[name].dtype}`);
    }
  }
}

/** Outputs that stayed the same for all inputs: a difference before them would not be seen. */
function unmoved(record, parts, state) {
  const still = record.outputNames.filter((name) => {
    const groups = new Map();
    for (const part of parts) {
      const values = part.outputs[name].given;
      const count = rowCount(part.feeds, record.row_axes);
      const rows = values.shape.length && values.shape[0] === count ? [...new Array(count).keys()] : [null];
      for (const row of rows) {
        const piece = row === null ? values : takeRows({ y: values }, { y: 0 }, count, [row]).y;
        const input = row === null ? part.feeds : takeRows(part.feeds, record.row_axes, count, [row]);
        const key = piece.shape.join();
        groups.set(key, [...(groups.get(key) ?? []), { piece, input }]);
      }
    }
    const every = [...groups.values()];
    const others = (group) => group.some(({ input }) => !Object.keys(input).every((key) => sameBits(input[key], group[0].input[key])));
    return every.every((group) => group.every(({ piece }) => sameBits(piece, group[0].piece))) && every.some((group) => group[0].piece.data.length && others(group));
  });
  for (const name of still) {
    if (isFloat(record.outputs[name].dtype) || still.length === record.outputNames.length || record.outputs[name].dependence === 0) {
      state.doubts.push(`output ${name} had the same value for all inputs, so it could hide a difference`);
    } else state.notes.push(`output ${name} is the same for all inputs`);
  }
}

async function judgeLayers(record, model, runtime, links, parts, { references, found, outputs }, state, tell) {
  const unread = found.filter((layer) => layer.slopes === null);
  for (const layer of unread) state.doubts.push(`${layer.name}: its slopes are computed by the graph and were not compared`);
  const { pairs, missing, additional } = pairLayers(references, found.filter((layer) => layer.slopes !== null));
  const agreed = outputs.every((one) => one.verdict === "pass");
  const failed = outputs.some((one) => one.verdict === "fail") || state.reasons.length > 0;
  if (!references.length) state.doubts.push("the reference has no PReLU: no slope was compared");
  for (const mine of missing) state.doubts.push(`${mine.name}: not found as a PRelu node, so its slopes were not compared; prelu-tools verify finds other forms`);
  for (const other of additional) state.notes.push(`${other.name}: a PReLU that the reference does not have`);
  if (additional.length && !agreed) state.doubts.push("there are PRelu nodes that the reference does not have");
  const spreads = parts.every((part) => Object.values(part.outputs).every(({ spread }) => spread !== null));
  const judged = new LayerJudge(pairs, spreads);
  await watch(model, runtime, links, parts, judged, tell);
  const rows = pairs.map(([mine, other]) => ({ mine, other, seen: judged.seen.get(mine.name), slopes: compareSlopes(mine, other) }));
  for (const row of rows) row.verdict = verdictOf(row);
  if (agreed) for (const row of rows) excuse(row);
  forgive(rows);
  if (!failed) for (const row of rows) settle(row, rows, state);
  const equal = rows.filter(({ slopes }) => slopes.equal).map(({ mine, other }) => [mine, other]);
  await tell("testing special values");
  const special = await trySpecialValues(record, model, runtime, equal);
  state.reasons.push(...special.fails);
  for (const name of special.skipped) state.doubts.push(`${name}: special values could not be tried`);
  const layers = rows.map((row) => finished(row, record, state));
  await addCoverage(record, parts, layers);
  return [...layers, ...missing.map((mine) => ({ name: mine.name, verdict: "none", words: "not found as a PRelu node", mine, other: null }))];
}

async function watch(model, runtime, links, parts, judged, tell) {
  const calls = judged.pairs.flatMap((pair) => pair[1].nodes.map((node, number) => ({ pair, number, x: node.inputs[0], y: node.outputs[0] })));
  if (!calls.length) return;
  const inputs = new Set(links.map(({ other }) => other.name));
  const names = [...new Set(calls.flatMap(({ x, y }) => [x, y]))].filter((name) => !inputs.has(name));
  await runtime.with(withOutputs(model, names), async (session) => {
    for (const [run, part] of parts.entries()) {
      await tell(`observing the layers, ${run + 1} of ${parts.length}`);
      const feeds = feedsOf(links, part.feeds);
      const values = { ...feeds, ...(await runtime.run(session, feeds, names)) };
      for (const { pair, number, x, y } of calls) {
        knowRank(pair[1], values[x].shape);
        judged.observe(run, pair, number, values[x], values[y], part.calls);
      }
    }
  });
}

/** The rank of an input that the file does not state is known once it has run. */
function knowRank(layer, shape) {
  if (layer.inputShape !== null) return;
  layer.inputShape = [null, ...shape.slice(1)];
  layer.slopes = align(layer.slopes, shape.length);
}

function verdictOf({ mine, other, seen, slopes }) {
  if (slopes.ambiguous || !mine.slopes.data.length) return "none";
  if (!slopes.equal || mine.nodes.length !== other.nodes.length) return "fail";
  if (!behaviour(seen)) return "pass";
  return seen.along?.doubt && isRight(seen) && seen.along.verdict !== "fail" ? "none" : "fail";
}

const onlyPropagates = ({ mine, other, seen, slopes }) => seen.along?.verdict === "fail"
  && mine.nodes.length === other.nodes.length && slopes.equal && isRight(seen);

/** What is off end to end only, while all outputs agree, fails nothing. */
function excuse(row) {
  if (row.verdict !== "fail" || !onlyPropagates(row)) return;
  row.verdict = "pass";
  row.note = "end-to-end error larger than rounding error; the outputs and the isolated layer agree";
}

/** What comes after the first layer that diverges only hands on what it was given. */
function forgive(rows) {
  let diverged = false;
  for (const row of rows) {
    if (diverged && onlyPropagates(row)) {
      row.verdict = "pass";
      row.note = "correct in isolation; its input already differs";
    }
    diverged ||= row.verdict === "fail";
  }
}

/** Where no output differs, a layer may be called otherwise, merged, or lie along other axes. */
function settle(row, rows, state) {
  if (row.verdict !== "fail") return;
  const { mine, other, seen, slopes } = row;
  const why = seen.lost || slopes.moved || slopes.isOpen || mine.nodes.length !== other.nodes.length || isRenamed(row, rows);
  if (!why) return;
  row.verdict = "none";
  state.doubts.push(`${mine.name}: ${wordsOf(row)}, while no output differs: prelu-tools verify can tell whether that is a difference`);
}

/** Whether the layers with other slopes than expected have each other's. */
function isRenamed(row, rows) {
  if (row.slopes.equal) return false;
  const wrong = rows.filter(({ slopes }) => !slopes.equal);
  const bare = (layer) => ({ ...layer, inputShape: null });
  return wrong.some(({ other }) => other !== row.other && compareSlopes(bare(row.mine), bare(other)).equal);
}

function wordsOf({ mine, other, seen, slopes }) {
  const words = [slopes.words, behaviour(seen)].filter(Boolean).join("; ");
  return words || (mine.nodes.length !== other.nodes.length ? `used ${other.nodes.length} time${other.nodes.length === 1 ? "" : "s"}, expected ${mine.nodes.length}` : "");
}

function finished(row, record, state) {
  const { mine, other, seen, slopes, verdict } = row;
  const words = wordsOf(row);
  if (verdict === "fail") state.layerReasons.push(`${mine.name} (node ${other.nodes[0].name || other.nodes[0].outputs[0]}): ${words}`);
  if (verdict === "none" && words) state.doubts.push(`${mine.name}: ${words}`);
  if (seen.along === null) state.unfollowed = (state.unfollowed ?? 0) + 1;
  const same = mine.slopes.shape.length === other.slopes.shape.length;
  const order = slopes.order ?? identity(mine.slopes.shape.length);
  const turned = same ? transpose(mine.slopes, order) : mine.slopes;
  return {
    name: mine.name, verdict, words: verdict === "pass" ? (row.note ?? slopes.note ?? "") : words,
    equal: slopes.equal, own: seen.own, isOff: isOff(seen.own), along: seen.along,
    mine: turned, other: other.slopes, wrong: slopes.equal ? [] : differing(turned, other.slopes, null),
  };
}

async function addCoverage(record, parts, layers) {
  for (const layer of layers) {
    let counts = null;
    for (const part of parts.filter((one) => one.isFirst)) {
      const { data } = await record.load(part.run.counts[layer.name]);
      counts = counts ? counts.map((count, i) => count + Number(data[i])) : [...data].map(Number);
    }
    layer.reached = counts?.filter((count) => count > 0).length ?? 0;
    layer.total = counts?.length ?? 0;
  }
}

function conclude(state, outputs, layers) {
  if (state.unfollowed) state.notes.push(`the record does not have the outputs of ${state.unfollowed} layers: only their slopes and their isolated outputs were compared`);
  const doubts = [...new Set(state.doubts)];
  const fails = state.reasons.length + state.layerReasons.length > 0;
  let verdict = fails ? "fail" : doubts.length ? "none" : "pass";
  if (fails && state.unsure) {
    verdict = "none";
    doubts.unshift(...state.layerReasons, ...state.reasons);
  }
  const reasons = [...state.layerReasons, ...state.reasons];
  return { verdict, reasons: verdict === "fail" ? reasons : [], doubts, notes: state.notes, outputs, layers };
}
