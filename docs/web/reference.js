// What the record says of a part of a run: what was expected, and how far rounding may take it.

import { expandedTo, sameShape } from "./arrays.js";
import { NoVerdict } from "./errors.js";
import { takePart } from "./linking.js";

const damaged = (what) => new NoVerdict(`the record is damaged: ${what}`);

const taken = (part, values, axis) => {
  const found = takePart(part, values, axis);
  if (found === null) throw damaged(`a tensor of [${values.shape}] has no batch of ${part.count}`);
  return found;
};

async function limits(record, part, spread, shape, axis) {
  const load = async (name) => (name === null || name === undefined ? null : taken(part, expandedTo(await record.load(name), shape), axis));
  const scale = await load(spread.scale);
  if (scale.dtype !== "float32" || scale.data.some((value) => !(value >= 0))) throw damaged("a limit is not a number of 0 or more");
  return {
    scale, nFlips: spread.n_flips ?? 0,
    border: await load(spread.border), reach: await load(spread.reach), lost: await load(spread.lost), rough: await load(spread.rough),
  };
}

/** The outputs of a part: {given, expected, spread} by name. */
export async function expectedOutputs(record, part) {
  const found = {};
  for (const [name, facts] of Object.entries(record.outputs)) {
    const stored = part.run.outputs[name];
    const axis = facts.row_axis;
    const given = await record.load(stored.given);
    const exact = stored.expected ? await record.load(stored.expected) : given;
    if (!sameShape(exact.shape, given.shape)) throw damaged(`output ${name} has two shapes`);
    const spread = record.moved_runs && stored.spread ? await limits(record, part, stored.spread, given.shape, axis) : null;
    found[name] = { given: taken(part, given, axis), expected: taken(part, exact, axis), spread };
  }
  return found;
}

/** What the layers gave in a part: {expected, scale} by `layer call`; empty where that is not in the record. */
export async function expectedCalls(record, part) {
  const found = new Map();
  for (const call of part.run.calls ?? []) {
    const whole = await record.load(call.expected);
    const expected = takePart(part, whole, call.row_axis);
    if (expected === null) continue;
    const scale = call.scale ? takePart(part, expandedTo(await record.load(call.scale), whole.shape), call.row_axis) : null;
    found.set(JSON.stringify([call.layer, call.call]), { expected, scale });
  }
  return found;
}

/** The layers of the record as `readLayers` has those of a candidate. */
export async function referenceLayers(record) {
  const found = [];
  for (const { layer, ...facts } of record.layers) {
    found.push({
      name: layer.name, nodes: layer.nodes, axes: layer.axes ?? null, inputShape: layer.input_shape ?? null,
      slopes: await record.load(layer.slopes), extent: { scale: facts.scale, own_error: facts.own_error },
      formula: facts.formula ?? null, special: facts.special ?? {},
    });
  }
  return found;
}
