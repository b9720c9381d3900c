// One gene: phase portrait, counts and fit along latent time, rates with intervals.

const LAYERS = ["unspliced", "spliced"];
const GREY = "#b8c0c8";
const MOST = 0.995; // share of the counts that axes show: a few high ones would press the others onto the axis
const JITTER = 0.15; // counts pile up on whole numbers; a little jitter shows how many there are

// Always the same jitter, so that points stay where they are.
function jitter(n, seed) {
  let state = seed;
  return Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return JITTER * (state / 2147483648 - 1);
  });
}

function drawGene(gene, content, cells, coloring) {
  document.getElementById("gene-name").textContent = gene.name;
  document.getElementById("gene-says").textContent = sayGene(gene);
  drawRates(gene);
  document.getElementById("gene-plots").hidden = document.getElementById("curve-legend").hidden = !content;
  const beyond = document.getElementById("beyond");
  if (!content) {
    beyond.textContent = "Counts and curves of this gene are not in the file, to keep it small; its rates are.";
    return;
  }
  const tops = LAYERS.map((_, layer) => topOf(content, layer));
  drawPortrait(gene, content, cells, coloring, tops);
  document.getElementById("along").hidden = !cells.time;
  if (cells.time) LAYERS.forEach((name, layer) => drawAlong(name, layer, gene, content, cells, coloring, tops[layer]));
  drawCurveLegend();
  const n = content.counts[0].filter((_, i) => content.counts.some((values, layer) => values[i] > tops[layer] + JITTER)).length;
  beyond.textContent = n ? `${n.toLocaleString("en")} ${n === 1 ? "cell is" : "cells are"} beyond the axes.` : "";
}

function sayGene(gene) {
  const { fit_deviance_explained: explained, fit_variation_explained: share, fit_gain: gain } = gene.values;
  const parts = [];
  if (Number.isFinite(explained)) parts.push(sayExplained(explained));
  if ((page.leftOut["left out of the clock"] || []).includes(gene.name)) parts.push("it is left out of the clock");
  if (Number.isFinite(share)) parts.push(`the clock explains ${Math.round(100 * share)} % of what it varies between cells`);
  if (Number.isFinite(gain)) parts.push(`gain over a constant ${Math.round(gain).toLocaleString("en")} nats`);
  const off = [["means", gene.values.fit_check_means], ["shares of zeros", gene.values.fit_check_zeros]];
  if (off.every(([, z]) => Number.isFinite(z))) parts.push(sayChecks(off.filter(([, z]) => z > OFF)));
  if (gene.values.smooth === 1) parts.push("its transcription rises and falls smoothly");
  if (gene.values.fit_unique === 0) parts.push("another shape of the curve, with a switch elsewhere, is about as likely");
  return parts.length ? `${parts.join("; ")}.` : "";
}

// z-scores against counts drawn from the fit; one gene in a thousand is beyond by chance.
const OFF = 3;
function sayChecks(off) {
  if (!off.length) return "counts along the clock are as drawn from the fit";
  return `${off.map(([what, z]) => `${what} (z ${z.toFixed(1)})`).join(" and ")} along the clock are not as the fit has them`;
}

// A smooth curve can do better than free means in pieces of the clock, or worse than a constant: no share, but words.
function sayExplained(share) {
  if (share <= 0) return "Its curve explains nothing of what the clock can say of it";
  const percent = share >= 0.995 && share < 1 ? "over 99" : share < 0.005 ? "under 1" : Math.round(100 * share);
  return share >= 1 ? "Its curve explains all that the clock can say of it" : `Its curve explains ${percent} % of what the clock can say of it`;
}

function topOf(content, layer) {
  const curve = Math.max(0, ...content.curves.flatMap((one) => Array.from(one.means[layer]).filter(Number.isFinite)));
  return 1.05 * Math.max(quantile(content.counts[layer], MOST), 1, curve);
}

const colorOf = (curve) => curve.lineage.color;

// Times of a curve and of its switches, in order, with the means there: corners stay sharp.
function withSwitches(curve) {
  const points = Array.from(curve.times, (time, i) => ({ time, values: [curve.means[0][i], curve.means[1][i]] }));
  return [...points, ...curve.switches].sort((one, other) => one.time - other.time);
}

function drawPortrait(gene, content, cells, coloring, tops) {
  const [u, s] = content.counts;
  const [du, ds] = [jitter(cells.n, 1), jitter(cells.n, 2)];
  fill("portrait_cells", {
    x: s.map((value, i) => value + ds[i]), y: u.map((value, i) => value + du[i]),
    color: coloring.colors, size: new Array(cells.n).fill(pointSize(cells.n)),
  });
  const curves = content.curves.map(withSwitches);
  fill("portrait_curves", {
    xs: curves.map((points) => points.map((point) => point.values[1])),
    ys: curves.map((points) => points.map((point) => point.values[0])),
    color: content.curves.map(colorOf),
  });
  fillSwitches("portrait", content, (point) => point.values[1], (point) => point.values[0]);
  setRange("portrait_x", -0.04 * tops[1] - JITTER, tops[1] + JITTER);
  setRange("portrait_y", -0.04 * tops[0] - JITTER, tops[0] + JITTER);
  describe("portrait", `Phase portrait of ${gene.name}: unspliced against spliced counts of ${cells.n} cells, fitted curve and switches`);
}

function drawAlong(name, layer, gene, content, cells, coloring, top) {
  const d = jitter(cells.n, layer + 1);
  fill(`${name}_cells`, {
    x: cells.time, y: content.counts[layer].map((value, i) => value + d[i]),
    color: coloring.labelled ? coloring.colors : new Array(cells.n).fill(GREY), size: new Array(cells.n).fill(pointSize(cells.n)),
  });
  const curves = content.curves.map(withSwitches);
  fill(`${name}_curves`, {
    xs: curves.map((points) => points.map((point) => point.time)),
    ys: curves.map((points) => points.map((point) => point.values[layer])),
    color: content.curves.map(colorOf),
  });
  fillBands(name, layer, content);
  fillMeans(name, layer, content);
  fillSwitches(name, content, (point) => point.time, (point) => point.values[layer]);
  setRange(`${name}_x`, inUnit(-0.02), inUnit(1.02));
  setRange(`${name}_y`, -0.04 * top - JITTER, top + JITTER);
  describe(name, `${name} counts of ${gene.name} along ${page.time}, with the fitted curve and its 90 % band, misfit included`);
}

function fillBands(name, layer, content) {
  const data = { xs: [], ys: [], color: [] };
  for (const curve of content.curves) {
    const [mean, half] = [curve.means[layer], curve.bands[layer]];
    if (!half.every(Number.isFinite)) continue;
    const low = Array.from(mean, (value, i) => Math.max(0, value - half[i]));
    const high = Array.from(mean, (value, i) => value + half[i]);
    data.xs.push([...curve.times, ...Array.from(curve.times).reverse()]);
    data.ys.push([...low, ...high.reverse()]);
    data.color.push(colorOf(curve));
  }
  fill(`${name}_bands`, data);
}

function fillMeans(name, layer, content) {
  const [means, errors] = [{ x: [], y: [], color: [] }, { xs: [], ys: [], color: [] }];
  for (const curve of content.curves) {
    const { at, mean, error } = curve.pieces[layer];
    at.forEach((time, i) => {
      if (!Number.isFinite(mean[i])) return;
      means.x.push(time);
      means.y.push(mean[i]);
      means.color.push(colorOf(curve));
      errors.xs.push([time, time]);
      errors.ys.push([mean[i] - error[i], mean[i] + error[i]]);
      errors.color.push(colorOf(curve));
    });
  }
  fill(`${name}_means`, means);
  fill(`${name}_errors`, errors);
}

function fillSwitches(name, content, x, y) {
  const data = { x: [], y: [], color: [] };
  for (const curve of content.curves) {
    for (const point of curve.switches) {
      data.x.push(x(point));
      data.y.push(y(point));
      data.color.push(colorOf(curve));
    }
  }
  fill(`${name}_switches`, data);
}

function drawCurveLegend() {
  const line = (color) => picture(24, 12, svg("line", { x1: 1, x2: 23, y1: 6, y2: 6, stroke: color, "stroke-width": 2.5 }));
  const diamond = picture(12, 12, svg("path", { d: "M6 0L11 6L6 12L1 6Z", fill: "currentColor" }));
  const band = picture(24, 12, svg("rect", { width: 24, height: 12, fill: "currentColor", opacity: 0.3 }));
  const ring = picture(12, 12, svg("circle", { cx: 6, cy: 6, r: 3, fill: "white", stroke: "currentColor" }));
  if (!page.lineages.length) return;
  const named = page.lineages.length > 1 ? page.lineages : [{ name: "", color: "currentColor" }]; // black, and white in the dark
  document.getElementById("curve-legend").replaceChildren(listOf([
    ...named.map(({ name, color }) => [line(color), name || "fitted curve"]),
    [diamond, "switch"], [band, "90\u00a0% band, misfit included"], [ring, "mean of cells, with its standard error"],
  ]));
}

// Rows of the rates: name, value, interval, whether a bar is drawn, words.
function rateRows(gene) {
  const v = gene.values;
  const half = (rate) => `half-life ${tell(Math.LN2 / rate, 2)} ${page.hours ? "hours" : page.phases.length ? "of a turn" : "of the clock"}`;
  const counts = `counts per ${page.hours ? "hour" : page.phases.length ? "turn" : "unit of the clock"}`;
  const rows = [
    ["Splicing rate β", "beta", true, boundOf(v.beta) ?? `unspliced transcripts: ${half(v.beta)}`],
    ["Degradation rate γ", "gamma", true, boundOf(v.gamma) ?? `spliced transcripts: ${half(v.gamma)}`],
    [v.smooth ? "Lowest transcription" : "Transcription before the first switch", "alpha_0", false, counts],
    [v.smooth ? "Highest transcription α" : "Transcription between the switches α", "alpha", false, counts],
  ].map(([name, key, bar, words]) => ({ name, value: v[key], low: v[`${key}_low`], high: v[`${key}_high`], bar: bar && "rate", words }));
  rows.push({ name: v.smooth ? "Rise through the middle" : "First switch", value: v.t_on, low: v.t_on_low, high: v.t_on_high, bar: "time", words: whenOf(v.t_on) });
  (gene.lastSwitch ? page.lineages : []).forEach((lineage, k) => {
    const which = page.lineages.length > 1 ? `, ${lineage.name}` : "";
    const known = k === 0 ? { low: v.t_off_low, high: v.t_off_high } : {};
    rows.push({ name: v.smooth ? "Fall through the middle" : `Last switch${which}`, value: gene.lastSwitch[k], ...known, bar: "time", words: whenOf(gene.lastSwitch[k]) });
    if (!v.smooth) rows.push({ name: `Transcription after it${which}`, value: gene.lastAlpha[k], words: counts });
  });
  rows.push({ name: "Capture of unspliced", value: v.scaling, words: "relative to spliced" });
  for (const [name, value] of [["unspliced", v.fit_background_u], ["spliced", v.fit_background_s]]) {
    if (value > 0) rows.push({ name: `Background of ${name}`, value, words: "counts in every cell whatever its state; not part of the curve" });
  }
  rows.push({ name: "Scatter of unspliced", value: v.fit_dispersion_u, words: "dispersion or variance; 0: Poisson" });
  rows.push({ name: "Scatter of spliced", value: v.fit_dispersion_s, words: "dispersion or variance; 0: Poisson" });
  return rows.filter((row) => Number.isFinite(row.value));
}

// Rates are held between these two: what lies beyond cannot be told from the counts.
const [SLOWEST, FASTEST] = [0.5, 100];

function boundOf(rate) {
  if (inUnit(rate) >= 0.995 * FASTEST) return `at its bound: ${tell(perUnit(FASTEST))} or faster`;
  return inUnit(rate) <= 1.005 * SLOWEST ? `at its bound: ${tell(perUnit(SLOWEST))} or slower` : null;
}

const whenInTurn = (time) => (time > inUnit(1) ? "in the next turn" : "in this turn");
const whenOf = (time) => (page.phases.length ? whenInTurn(time) : time < 0 ? "before the first cells" : time > inUnit(1) ? "after the last cells" : "on the clock");
const interval = (low, high) => (Number.isFinite(low) && Number.isFinite(high) ? `${tell(low)} to ${tell(high)}` : "");

function drawRates(gene) {
  const rows = rateRows(gene);
  document.getElementById("rates").hidden = !rows.length;
  document.querySelector("#rates tbody").replaceChildren(...rows.map((row) => {
    const line = document.createElement("tr");
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = row.name;
    line.append(head);
    for (const text of [tell(row.value), interval(row.low, row.high), null, row.words]) {
      const cell = document.createElement("td");
      if (text === null) cell.append(...barOf(row));
      else cell.textContent = text;
      line.append(cell);
    }
    return line;
  }));
}

// A value and its interval on the scale that all genes share: rates from bound to bound by logarithm, times from one end of the clock to the other.
function barOf({ bar, value, low, high }) {
  if (!bar) return [];
  const share = bar === "rate" ? (x) => Math.log(inUnit(x) / SLOWEST) / Math.log(FASTEST / SLOWEST) : (x) => x / inUnit(1);
  const at = (x) => 6 + 148 * Math.min(1, Math.max(0, share(x)));
  const shapes = [svg("line", { x1: 6, x2: 154, y1: 8, y2: 8, stroke: "#d5dade", "stroke-width": 2 })];
  if (Number.isFinite(low) && Number.isFinite(high)) {
    shapes.push(svg("line", { x1: at(low), x2: at(high), y1: 8, y2: 8, stroke: "#0b6e75", "stroke-width": 5, opacity: 0.45 }));
  }
  return [picture(160, 16, ...shapes, svg("circle", { cx: at(value), cy: 8, r: 4, fill: "#0b6e75" }))];
}
