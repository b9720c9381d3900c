// bokeh's figures: embedded once, then filled by name.

const figures = JSON.parse(document.getElementById("plots").textContent);

async function embedFigures() {
  for (const [name, item] of Object.entries(figures)) {
    await Bokeh.embed.embed_item(item, `plot-${name}`);
  }
}

function model(name) {
  for (const doc of Bokeh.documents) {
    const found = doc.get_model_by_name(name);
    if (found) return found;
  }
  throw new Error(`there is no ${name} among the figures`);
}

function fill(name, data) {
  model(name).data = data;
}

function setRange(name, start, end) {
  model(name).setv({ start, end, reset_start: start, reset_end: end });
}

function describe(name, text) {
  document.getElementById(`plot-${name}`).setAttribute("aria-label", text);
}

// Smaller points the more there are.
function pointSize(n) {
  return Math.min(5.5, Math.max(2.2, 230 / Math.sqrt(n)));
}
