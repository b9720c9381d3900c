// The table of genes: search, sort, and a roving focus over its rows.

const NAMES = new Intl.Collator("en", { numeric: true });
const BATCH = 200; // rows made at a time; more follow when they are scrolled or walked to

class GeneTable {
  constructor(genes, choose) {
    Object.assign(this, { genes, choose, shown: genes, chosen: null, sortKey: null, ascending: false, made: 0 });
    this.head = document.querySelector("#gene-table thead");
    this.body = document.querySelector("#gene-table tbody");
    this.box = document.getElementById("table-box");
    this.makeHead();
    this.body.addEventListener("click", (event) => this.clicked(event));
    this.body.addEventListener("keydown", (event) => this.pressed(event));
    this.box.addEventListener("scroll", () => {
      if (this.box.scrollTop + this.box.clientHeight > this.box.scrollHeight - 400) this.makeRows(this.made + BATCH);
    });
    this.list();
  }

  makeHead() {
    const row = document.createElement("tr");
    const columns = [{ key: "name", title: "Gene", text: "Name of the gene." }, ...page.columns];
    for (const column of columns) {
      const cell = document.createElement("th");
      cell.scope = "col";
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = column.title;
      button.title = `${column.text} Click to sort.`;
      button.addEventListener("click", () => this.sort(column.key));
      cell.append(button);
      cell.dataset.key = column.key;
      row.append(cell);
    }
    this.head.replaceChildren(row);
  }

  sort(key) {
    this.ascending = this.sortKey === key ? !this.ascending : key === "name";
    this.sortKey = key;
    const way = this.ascending ? 1 : -1;
    const value = key === "name" ? (gene) => gene.name : (gene) => gene.values[key];
    this.genes.sort((one, other) => compare(value(one), value(other), way));
    for (const cell of this.head.querySelectorAll("th")) {
      if (cell.dataset.key === key) cell.setAttribute("aria-sort", this.ascending ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    }
    this.search(this.wanted ?? "");
  }

  search(text) {
    this.wanted = text;
    const wanted = text.trim().toLowerCase();
    this.shown = wanted ? this.genes.filter((gene) => gene.name.toLowerCase().includes(wanted)) : this.genes;
    // What begins with the words, or is them, comes first.
    if (wanted) this.shown = [...this.shown].sort((one, other) => rank(one, wanted) - rank(other, wanted));
    this.list();
    document.getElementById("found").textContent = this.foundText(wanted);
  }

  foundText(wanted) {
    const all = `${this.genes.length.toLocaleString("en")} genes`;
    if (!wanted) return all;
    if (this.shown.length) return `${this.shown.length.toLocaleString("en")} of ${all}`;
    for (const [why, names] of Object.entries(page.leftOut)) {
      const left = names.find((name) => name.toLowerCase() === wanted);
      if (left) return `${left} was left out: ${why}.`;
    }
    return `No fitted gene has “${wanted}” in its name.`;
  }

  list() {
    this.made = 0;
    this.body.replaceChildren();
    this.makeRows(BATCH);
    this.box.scrollTop = 0;
    this.mark();
  }

  makeRows(until) {
    const rows = [];
    for (; this.made < Math.min(until, this.shown.length); this.made++) rows.push(this.makeRow(this.shown[this.made]));
    this.body.append(...rows);
  }

  makeRow(gene) {
    const row = document.createElement("tr");
    row.tabIndex = -1;
    row.gene = gene;
    row.setAttribute("aria-selected", String(gene === this.chosen));
    const name = document.createElement("th");
    name.scope = "row";
    name.textContent = name.title = gene.name;
    row.append(name);
    for (const { key, interval: has } of page.columns) {
      const cell = document.createElement("td");
      cell.textContent = Number.isFinite(gene.values[key]) ? tellCell(gene.values[key], key) : "";
      const [low, high] = [gene.values[`${key}_low`], gene.values[`${key}_high`]];
      if (has && Number.isFinite(low) && Number.isFinite(high)) {
        const range = document.createElement("span");
        range.className = "interval";
        range.textContent = ` ${tellCell(low, key)} – ${tellCell(high, key)}`;
        cell.append(range);
      }
      row.append(cell);
    }
    return row;
  }

  // The chosen gene's row is marked; it, or the first one, is where Tab arrives.
  mark() {
    for (const row of this.body.rows) {
      row.setAttribute("aria-selected", String(row.gene === this.chosen));
      row.tabIndex = -1;
    }
    const stop = [...this.body.rows].find((row) => row.gene === this.chosen) ?? this.body.rows[0];
    if (stop) stop.tabIndex = 0;
  }

  take(gene) {
    if (!gene) return;
    this.chosen = gene;
    this.mark();
    this.choose(gene);
  }

  clicked(event) {
    const row = event.target.closest("tr");
    if (row) this.walkTo(this.shown.indexOf(row.gene));
  }

  pressed(event) {
    const at = this.shown.indexOf(event.target.closest("tr").gene);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 8, PageUp: at - 8, Home: 0, End: this.shown.length - 1, Enter: at, " ": at }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (event.key === "ArrowUp" && at === 0) document.getElementById("search").focus();
    else this.walkTo(Math.min(Math.max(to, 0), this.shown.length - 1));
  }

  // Focus and choose a row, made first if need be.
  walkTo(index) {
    if (!this.shown.length) return;
    this.makeRows(index + BATCH / 2);
    this.take(this.shown[index]);
    const row = this.body.rows[index];
    row.focus({ preventScroll: true });
    this.reveal(row);
  }

  // Scroll the table, not the page, so that a row is seen under the header.
  reveal(row) {
    const top = row.offsetTop - this.head.offsetHeight;
    const bottom = row.offsetTop + row.offsetHeight - this.box.clientHeight;
    if (this.box.scrollTop > top) this.box.scrollTop = top;
    if (this.box.scrollTop < bottom) this.box.scrollTop = bottom;
  }

  step(by) {
    const index = this.shown.indexOf(this.chosen) + by;
    if (index < 0 || index >= this.shown.length) return;
    this.makeRows(index + BATCH / 2);
    this.take(this.shown[index]);
    this.reveal(this.body.rows[index]);
  }
}

// Times with two decimals, other numbers with two or three digits.
function tellCell(value, key) {
  if (key === "fit_unique") return value ? "yes" : "no";
  if (page.hours && key.startsWith("t_")) return tell(value);
  if (page.hours && /^(alpha|beta|gamma)/.test(key)) return tell(value, 2);
  if (key.startsWith("t_") || key === "fit_deviance_explained" || key === "fit_variation_explained") return value.toFixed(2).replace("-", "−");
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en").replace("-", "−");
  return value.toFixed(Math.abs(value) < 10 ? 1 : 0).replace("-", "−");
}

function rank(gene, wanted) {
  const name = gene.name.toLowerCase();
  return name === wanted ? 0 : name.startsWith(wanted) ? 1 : 2;
}

// What is not a number comes last either way.
function compare(one, other, way) {
  if (typeof one === "string") return way * NAMES.compare(one, other);
  const [known, alsoKnown] = [Number.isFinite(one), Number.isFinite(other)];
  return known && alsoKnown ? way * (one - other) : Number(alsoKnown) - Number(known);
}
