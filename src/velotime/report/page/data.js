// What Python packed: base64 of deflated bytes, numbers by byte planes (see _pack.py).

const page = JSON.parse(document.getElementById("data").textContent);

async function inflate(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Numbers of `size` bytes each, whose first bytes come all together, then all second ones, and so on.
function fromPlanes(bytes, size, Kind) {
  const n = bytes.length / size;
  const out = new Uint8Array(bytes.length);
  for (let b = 0; b < size; b++) for (let i = 0; i < n; i++) out[i * size + b] = bytes[b * n + i];
  return new Kind(out.buffer);
}

// Times in the unit that the page tells them in, and rates per unit: the clock itself, or hours where they are known.
const inUnit = (time) => time * page.length;
const perUnit = (rate) => rate / page.length;

const KINDS = { 1: Uint8Array, 2: Uint16Array };

// x, y, time, size factors and, where there is one, the sd of every drawn cell, and its labels by column.
async function readCells() {
  const { n, rows, numbers, names } = page.cells;
  const all = fromPlanes(await inflate(numbers), 4, Float32Array);
  const cells = { n, names: JSON.parse(new TextDecoder().decode(await inflate(names))), labels: [] };
  rows.forEach((row, k) => (cells[row] = all.subarray(k * n, (k + 1) * n)));
  for (const row of ["time", "sd"]) if (cells[row]) cells[row] = cells[row].map(inUnit);
  for (const column of page.labels) cells.labels.push({ ...column, codes: await inflate(column.codes) });
  return cells;
}

// Curves, bands, means and counts of a gene; null if they are not in the file.
async function readGene(gene, cells) {
  if (!gene.data) return null;
  const bytes = await inflate(gene.data);
  const lineages = page.lineages.length;
  const pieces = page.nPieces;
  const perLine = 2 * page.points + 6 + 2 * pieces;
  const perWidth = 2 * page.points + 2 * pieces;
  let at = 0;
  const take = (length, size, Kind) => fromPlanes(bytes.subarray(at, (at += length * size)), size, Kind);
  const lines = take(lineages * perLine, 4, Float32Array);
  const widths = take(lineages * perWidth, 4, Float32Array);
  const counts = gene.counts.map(([size, low, step], layer) => {
    const whole = take(cells.n, size, KINDS[size]);
    const sizes = layer === 0 ? cells.sizeU : cells.sizeS;
    return Float32Array.from(whole, (q, i) => (low + step * q) / sizes[i]);
  });
  const curves = page.lineages.map((lineage, k) => readCurve(
    lineage, page.pieces[k],
    lines.subarray(k * perLine, (k + 1) * perLine), widths.subarray(k * perWidth, (k + 1) * perWidth),
  ));
  return { counts, curves };
}

function readCurve(lineage, pieceTimes, line, width) {
  const n = page.points;
  const pieces = pieceTimes[0].length;
  const after = 2 * n + 6;
  const switches = [0, 3].map((k) => line.subarray(2 * n + k, 2 * n + k + 3)).filter((at) => Number.isFinite(at[0]));
  return {
    lineage,
    times: Float64Array.from({ length: n }, (_, i) => inUnit(i / (n - 1))),
    means: [line.subarray(0, n), line.subarray(n, 2 * n)],
    bands: [width.subarray(0, n), width.subarray(n, 2 * n)],
    switches: switches.map((at) => ({ time: inUnit(at[0]), values: [at[1], at[2]] })),
    pieces: [0, 1].map((layer) => ({
      at: pieceTimes[layer].map(inUnit),
      mean: line.subarray(after + layer * pieces, after + (layer + 1) * pieces),
      error: width.subarray(2 * n + layer * pieces, 2 * n + (layer + 1) * pieces),
    })),
  };
}

// A value of a gene in the unit: times and rates, and the ends of their intervals; others as they are.
function converted(key, value) {
  if (value === null) return null;
  if (/^t_(on|off)(_low|_high)?$/.test(key)) return inUnit(value);
  return /^(alpha(_0)?|beta|gamma)(_low|_high)?$/.test(key) ? perUnit(value) : value;
}

// The genes of the table, the first of them with what the explorer draws, and why others were left out.
async function readGenes() {
  const { names, columns, nLineages, n, numbers } = page.table;
  const all = n ? fromPlanes(await inflate(numbers), 4, Float32Array) : new Float32Array(0);
  const text = async (packed) => JSON.parse(new TextDecoder().decode(await inflate(packed)));
  page.leftOut = await text(page.leftOut);
  return (await text(names)).map((name, i) => {
    const at = (k) => (Number.isFinite(all[k * n + i]) ? all[k * n + i] : null);
    const gene = { name, values: Object.fromEntries(columns.map((key, k) => [key, converted(key, at(k))])), ...page.genes[i] };
    if (nLineages) {
      gene.lastSwitch = Array.from({ length: nLineages }, (_, k) => converted("t_off", at(columns.length + k)));
      gene.lastAlpha = Array.from({ length: nLineages }, (_, k) => converted("alpha", at(columns.length + nLineages + k)));
    }
    return gene;
  });
}
