"use strict";

/* The charts of the page, drawn by uPlot: colours from the style sheet, text as text. */
const Charts = (() => {
  const drawn = new Set();
  const style = getComputedStyle(document.documentElement); // stays true when the scheme changes

  const colour = (name) => style.getPropertyValue("--" + name).trim();

  const fill = (name) => () => colour(name);

  function short(value, digits = 6) {
    if (value === null || value === undefined) return "not finite";
    const size = Math.abs(value);
    if (value === 0 || (size >= 1e-3 && size < 1e4)) return String(Number(value.toPrecision(digits)));
    return value.toExponential(Math.min(digits, 4) - 1);
  }

  /* A line across the chart at 0 and at 1, along the axis on which slopes lie. */
  function marks(scale) {
    return (chart) => {
      const { left, top, width, height } = chart.bbox;
      const context = chart.ctx;
      context.save();
      context.strokeStyle = colour("mark");
      context.lineWidth = devicePixelRatio;
      for (const value of [0, 1]) {
        const { min, max } = chart.scales[scale];
        if (value < min || value > max) continue;
        const at = Math.round(chart.valToPos(value, scale, true));
        context.beginPath();
        context.moveTo(scale === "x" ? at : left, scale === "x" ? top : at);
        context.lineTo(scale === "x" ? at : left + width, scale === "x" ? top + height : at);
        context.stroke();
      }
      context.restore();
    };
  }

  /* What the pointer is on, said beside it. */
  function tip(say) {
    let box = null;
    return {
      hooks: {
        init: (chart) => {
          box = document.createElement("div");
          box.className = "tip lines";
          box.hidden = true;
          chart.over.append(box);
        },
        setCursor: (chart) => {
          const at = chart.cursor.idx;
          const text = at === null || at === undefined || chart.cursor.left < 0 ? "" : say(at);
          box.hidden = text === "";
          if (text === "") return;
          box.textContent = text;
          const right = chart.cursor.left > chart.over.clientWidth / 2;
          const place = chart.cursor.left + (right ? -10 - box.offsetWidth : 10);
          box.style.left = Math.max(-40, place) + "px";
        },
      },
    };
  }

  function axis(more) {
    return {
      stroke: fill("soft"),
      grid: { stroke: fill("grid"), width: 1 },
      ticks: { show: false },
      font: "11px system-ui, sans-serif",
      ...more,
    };
  }

  function make(host, options, data) {
    const height = host.clientHeight;
    const chart = new uPlot(
      {
        width: Math.max(host.clientWidth, 50),
        height,
        legend: { show: false },
        select: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: false, y: false, setScale: false } },
        padding: [8, 16, 0, 0],
        ...options,
      },
      data,
      host,
    );
    new ResizeObserver(() => {
      if (host.clientWidth > 0 && host.clientWidth !== chart.width) {
        chart.setSize({ width: host.clientWidth, height });
      }
    }).observe(host);
    drawn.add(chart);
    return chart;
  }

  /* Numbers in three series, by where the slope lies; a slope that is not finite is in none. */
  function parts(slopes, empty) {
    const kept = (holds) => slopes.map((slope) => (slope !== null && holds(slope) ? slope : empty));
    return [kept((slope) => slope < 0), kept((slope) => slope >= 0 && slope <= 1), kept((slope) => slope > 1)];
  }

  /* A fill that has each part of a chart in the colour of the slopes there. */
  function shaded(alpha) {
    return (chart) => {
      const { top, height } = chart.bbox;
      const gradient = chart.ctx.createLinearGradient(0, top, 0, top + height);
      const stop = (value) => Math.min(1, Math.max(0, (chart.valToPos(value, "y", true) - top) / height));
      const bounds = [0, stop(1), stop(0), 1];
      ["above", "between", "below"].forEach((kind, i) => {
        gradient.addColorStop(bounds[i], colour(kind) + alpha);
        gradient.addColorStop(bounds[i + 1], colour(kind) + alpha);
      });
      return gradient;
    };
  }

  const KINDS = ["below", "between", "above"];

  function histogram(host, layer, scale) {
    const step = (scale.high - scale.low) / scale.bins;
    const middles = layer.histogram.below.map((_, i) => scale.low + (i + 0.5) * step);
    const { below, between, above } = layer.histogram;
    const total = below.map((number, i) => number + between[i] + above[i]);
    const most = Math.max(1, ...total);
    const bars = uPlot.paths.bars({ size: [0.92, 100], align: 0 });
    const say = (i) => {
      const from = i === 0 && scale.cut_low ? "below" : short(scale.low + i * step, 4) + " to";
      const last = i === scale.bins - 1 && scale.cut_high;
      const to = last ? "and above" : short(scale.low + (i + 1) * step, 4);
      const range = last ? from.replace(" to", "") + " " + to : from + " " + to;
      return range + "\n" + total[i] + (total[i] === 1 ? " slope" : " slopes");
    };
    return make(
      host,
      {
        scales: {
          x: { time: false, range: () => [scale.low, scale.high] },
          y: { range: () => [0, most * 1.04] },
        },
        axes: [
          axis({ size: 24, gap: 2, space: 40 }),
          // Its 0 would stand where the first label of the other axis does.
          axis({ size: 34, gap: 2, space: 30, values: (_, ticks) => ticks.map((tick) => tick || ""), incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 1e4, 1e5, 1e6] }),
        ],
        series: [{}, ...["above", "between", "below"].map((kind) => ({ paths: bars, fill: fill(kind), width: 0, points: { show: false } }))],
        hooks: { drawAxes: [marks("x")] },
        plugins: [tip(say)],
      },
      [middles, total, below.map((number, i) => number + between[i]), below],
    );
  }

  function place(layer, index) {
    if (layer.dims.length < 2) return (layer.sharing === "channel-wise" ? "channel " : "slope ") + index;
    const found = [];
    let rest = index;
    for (const size of [...layer.dims].reverse()) {
      found.unshift(rest % size);
      rest = Math.floor(rest / size);
    }
    return "position " + found.join(", ");
  }

  function saying(layer) {
    const count = layer.statistics.count;
    return (i) => {
      const used = layer.negative === null ? "" : "\nnegative in " + short(100 * layer.negative[i], 3) + "% of its inputs";
      if (layer.per === 1) return place(layer, i) + ": " + short(layer.values[i]) + used;
      const last = Math.min(count, (i + 1) * layer.per) - 1;
      return (
        "slopes " + i * layer.per + " to " + last + "\n" + short(layer.low[i]) + " to " + short(layer.high[i]) +
        ", mean " + short(layer.mean[i]) + used
      );
    };
  }

  function ownRange(layer) {
    const numbers = (layer.per === 1 ? layer.values : [...layer.low, ...layer.high]).filter((v) => v !== null);
    const low = numbers.reduce((a, b) => Math.min(a, b), Infinity);
    const high = numbers.reduce((a, b) => Math.max(a, b), -Infinity);
    if (!numbers.length) return [0, 1];
    const margin = (high - low) * 0.06 || Math.max(Math.abs(high) * 0.1, 0.01);
    return [low - margin, high + margin];
  }

  function valueSeries(layer) {
    const points = { show: true, size: layer.values && layer.values.length > 400 ? 3 : 5, width: 0 };
    if (layer.per === 1 && layer.values.length <= 96) {
      const bars = uPlot.paths.bars({ size: [0.7, 14], align: 0 });
      return KINDS.map((kind) => ({ paths: bars, fill: fill(kind), width: 0, points: { show: false } }));
    }
    if (layer.per === 1) {
      return KINDS.map((kind) => ({ paths: () => null, points: { ...points, fill: fill(kind), stroke: fill(kind) } }));
    }
    const line = (width) => ({ stroke: width ? shaded("") : null, width, points: { show: false } });
    return [line(0), line(0), line(1)];
  }

  function valueData(layer) {
    const numbers = layer.per === 1 ? layer.values : layer.mean;
    const places = numbers.map((_, i) => i);
    if (layer.per > 1) return [places, layer.high, layer.low, layer.mean];
    const bars = numbers.length <= 96;
    return [places, ...parts(numbers, bars ? 0 : null)];
  }

  function values(host, layer, scale, own) {
    const margin = 0.03 * (scale.high - scale.low);
    const data = valueData(layer);
    const last = data[0].length - 1;
    const limits = own ? ownRange(layer) : [scale.low - margin, scale.high + margin];
    return make(
      host,
      {
        scales: { x: { time: false, range: () => [-0.7, last + 0.7] }, y: { range: () => limits } },
        axes: [
          axis({
            size: 24, gap: 2, space: 50, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3],
            values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? String(tick * layer.per) : "")),
          }),
          axis({ size: 46, gap: 2, space: 30 }),
        ],
        series: [{}, ...valueSeries(layer)],
        bands: layer.per > 1 ? [{ series: [1, 2], fill: shaded("55") }] : [],
        hooks: { drawAxes: [marks("y")] },
        plugins: [tip(saying(layer))],
      },
      data,
    );
  }

  function depth(host, layers, scale, choose) {
    const margin = 0.03 * (scale.high - scale.low);
    const inside = (value) => (value === null ? null : Math.min(scale.high, Math.max(scale.low, value)));
    const column = (which) => layers.map((layer) => inside(layer.spread[which]));
    const line = (more) => ({ width: 0, points: { show: false }, ...more });
    const dots = { show: true, size: layers.length > 100 ? 3 : 6, width: 0, fill: fill("ink") };
    const say = (i) => {
      const [min, median, max] = layers[i].spread;
      return layers[i].name + "\n" + short(min) + " to " + short(max) + ", median " + short(median);
    };
    const chart = make(
      host,
      {
        scales: {
          x: { time: false, range: () => [-0.6, layers.length - 0.4] },
          y: { range: () => [scale.low - margin, scale.high + margin] },
        },
        axes: [
          axis({
            size: 24, gap: 2, space: 40, incrs: [1, 2, 5, 10, 20, 50, 100],
            values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) && tick >= 0 ? String(tick + 1) : "")),
          }),
          axis({ size: 46, gap: 2, space: 30 }),
        ],
        series: [{}, line(), line(), line({ stroke: fill("ink"), width: 1.5, points: dots })],
        bands: [{ series: [1, 2], fill: shaded("44") }],
        hooks: { drawAxes: [marks("y")] },
        plugins: [tip(say)],
      },
      [layers.map((_, i) => i), column(2), column(0), column(1)],
    );
    chart.over.style.cursor = "pointer";
    chart.over.addEventListener("click", () => {
      if (chart.cursor.idx !== null && chart.cursor.idx !== undefined) choose(chart.cursor.idx);
    });
    return chart;
  }

  function forget(chart) {
    drawn.delete(chart);
    chart.destroy();
  }

  for (const media of ["(prefers-color-scheme: dark)", "print"]) {
    matchMedia(media).addEventListener("change", () => {
      for (const chart of drawn) chart.redraw(false, true);
    });
  }

  return { histogram, values, depth, forget, short };
})();
