// Begin: read the cells, embed the figures, and join the choices to them.

async function begin() {
  const cells = await readCells();
  const genes = await readGenes();
  await embedFigures();
  const ways = colorings(cells);
  const state = { coloring: ways[0], gene: null, content: null };
  const redrawGene = () => state.gene && drawGene(state.gene, state.content, cells, state.coloring);

  const select = document.getElementById("color-by");
  ways.forEach((way, k) => select.add(new Option(way.title, String(k))));
  select.addEventListener("change", () => {
    state.coloring = ways[Number(select.value)];
    drawMap(cells, state.coloring);
    drawLegend(state.coloring);
    redrawGene();
  });

  const table = new GeneTable(genes, async (gene) => {
    state.wanted = gene;
    const content = await readGene(gene, cells);
    if (state.wanted !== gene) return; // another was chosen meanwhile
    Object.assign(state, { gene, content });
    redrawGene();
  });
  joinSearch(table);
  document.getElementById("previous").addEventListener("click", () => table.step(-1));
  document.getElementById("next").addEventListener("click", () => table.step(1));

  drawMap(cells, state.coloring);
  drawLegend(state.coloring);
  table.search("");
  table.take(table.shown[0]);
}

function joinSearch(table) {
  const search = document.getElementById("search");
  search.addEventListener("input", () => table.search(search.value));
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") table.take(table.shown[0]);
    else if (event.key === "ArrowDown") table.walkTo(Math.max(0, table.shown.indexOf(table.chosen)));
    else if (event.key === "Escape") {
      search.value = "";
      table.search("");
    } else return;
    event.preventDefault();
  });
}

begin().then(
  () => document.body.setAttribute("data-ready", "true"),
  (error) => {
    const failure = document.getElementById("failure");
    failure.hidden = false;
    failure.textContent = `The plots could not be drawn (${error.message}). A browser of 2023 or later is needed.`;
    console.error(error);
  },
);
