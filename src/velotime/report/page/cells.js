// The map of the cells, and the one choice of colours that all plots share.

const MISSING = "#d3d3d3";

// A number for reading, to so many digits; thousands apart.
function tell(value, digits = 3) {
  if (!Number.isFinite(value)) return "none";
  const rounded = Number(value.toPrecision(digits));
  return (Math.abs(rounded) >= 1000 ? rounded.toLocaleString("en") : String(rounded)).replace("-", "−");
}

// A way to colour cells: a title, a colour for each cell, and how the legend reads.
function colorings(cells) {
  const ways = cells.time ? [numbers(page.time[0].toUpperCase() + page.time.slice(1), cells.time, 0, inUnit(1), timeColors())] : [];
  if (cells.sd) ways.push(numbers(`sd of ${page.time}`, cells.sd, 0, quantile(cells.sd, 0.99)));
  for (const column of cells.labels) ways.push(labels(column));
  return ways.length ? ways : [numbers("nothing", new Float32Array(cells.n), 0, 1)];
}

// Colours of times; those of phases close, as a circle does.
const timeColors = () => (page.phases.length ? page.phases : page.viridis);

function numbers(title, values, low, high, ramp = page.viridis) {
  const colors = Array.from(values, (value) => {
    if (!Number.isFinite(value)) return MISSING;
    const share = (value - low) / (high - low || 1);
    return ramp[Math.round(255 * Math.min(1, Math.max(0, share)))];
  });
  return { title, colors, labelled: false, low, high, ramp };
}

function labels(column) {
  const counts = column.names.map(() => 0);
  const colors = Array.from(column.codes, (code) => {
    if (code >= column.names.length) return MISSING;
    counts[code] += 1;
    return column.colors[code];
  });
  return { title: column.column, colors, labelled: true, column, counts };
}

function quantile(values, share) {
  const sorted = Float64Array.from(values).filter(Number.isFinite).sort();
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] : 1;
}

function drawMap(cells, coloring) {
  const size = pointSize(cells.n);
  const there = [];
  for (let i = 0; i < cells.n; i++) if (Number.isFinite(cells.x[i]) && Number.isFinite(cells.y[i])) there.push(i);
  const pick = (values) => there.map((i) => values[i]);
  fill("map_cells", {
    x: pick(cells.x), y: pick(cells.y), color: pick(coloring.colors), size: there.map(() => size),
    name: pick(cells.names), says: there.map((i) => saysOf(cells, i)),
  });
  for (const axis of ["x", "y"]) {
    const values = pick(cells[axis]);
    const [low, high] = [values.reduce((a, b) => Math.min(a, b), Infinity), values.reduce((a, b) => Math.max(a, b), -Infinity)];
    const margin = 0.04 * (high - low || 1);
    if (there.length) setRange(`map_${axis}`, low - margin, high + margin);
  }
  describe("map", `${there.length} cells on their embedding, coloured by ${coloring.title}`);
}

function saysOf(cells, i) {
  const time = cells.time ? [`${page.phases.length ? "phase" : "time"} ${tell(cells.time[i], 2)}${cells.sd ? ` ± ${tell(cells.sd[i], 1)}` : ""}`] : [];
  return [...time, ...cells.labels.map((column) => `${column.column} ${column.names[column.codes[i]] ?? "missing"}`)].join(", ");
}

function drawLegend(coloring) {
  const legend = document.getElementById("legend");
  legend.replaceChildren();
  if (coloring.labelled) {
    const { names, colors } = coloring.column;
    legend.append(listOf(names.map((name, k) => [dot(colors[k]), name, coloring.counts[k].toLocaleString("en")])));
    return;
  }
  const ramp = document.createElement("canvas");
  ramp.className = "ramp";
  [ramp.width, ramp.height] = [256, 1];
  const context = ramp.getContext("2d");
  coloring.ramp.forEach((color, k) => {
    context.fillStyle = color;
    context.fillRect(k, 0, 1, 1);
  });
  const ends = document.createElement("div");
  ends.className = "ends";
  for (const value of [coloring.low, coloring.high]) {
    const end = document.createElement("span");
    end.textContent = tell(value, 2);
    ends.append(end);
  }
  legend.append(ramp, ends);
}

// Rows of [mark, text, text]; texts are texts, whatever they hold.
function listOf(rows) {
  const list = document.createElement("ul");
  for (const [mark, ...texts] of rows) {
    const row = document.createElement("li");
    row.append(mark);
    for (const text of texts) {
      const span = document.createElement("span");
      span.textContent = text;
      row.append(span);
    }
    list.append(row);
  }
  return list;
}

function svg(kind, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function picture(width, height, ...shapes) {
  return svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, ...shapes);
}

const dot = (color) => picture(12, 12, svg("circle", { cx: 6, cy: 6, r: 5, fill: color }));
