"""The report as a reader meets it: in a headless Chromium, driven by Selenium."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

import velotime as vt
from velotime.data import Fitted
from velotime.inference import columns_of
from velotime.kinetics import switch_means
from velotime.pl._curves import gene_curves

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1300,900",
)
HOSTILE = "<script>alert(1)</script>"
LABEL = "</script><img src=x onerror=alert(2)>"

WHERE_THE_FIRST_CELL_IS = """
    const find = (name) => Bokeh.documents.map((doc) => doc.get_model_by_name(name)).find((model) => model);
    const [data, x, y] = [find("map_cells").data, find("map_x"), find("map_y")];
    const view = Array.from(Bokeh.index.roots).find((one) => one.model === find("map"));
    const box = document.getElementById("plot-map").getBoundingClientRect();
    const frame = view.frame.bbox;
    const left = frame.left + (data.x[0] - x.start) / (x.end - x.start) * frame.width;
    const top = frame.bottom - (data.y[0] - y.start) / (y.end - y.start) * frame.height;
    return [left - box.width / 2, top - box.height / 2];
"""
EVERYTHING = """
    const within = (node) => [...node.children, ...(node.shadowRoot?.children ?? [])]
        .filter((one) => !["SCRIPT", "STYLE"].includes(one.tagName)).flatMap((one) => [one, ...within(one)]);
    const all = within(document.body);
    return [all.filter((one) => !one.children.length).map((one) => one.textContent).join("\\n"),
      all.filter((one) => ["B", "IMG"].includes(one.tagName)).length];
"""  # text of all elements, those in the shadow too; and how many could only come from a name


def find_browser():
    """Paths of browser and driver, or None; GitHub's machines name the driver's folder in a variable."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver") or shutil.which("chromedriver", path=os.environ.get("CHROMEWEBDRIVER", ""))
    return (browser, driver) if browser and driver else None


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = find_browser()
    if found is None:
        pytest.skip("needs chromium and chromedriver, for example apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.binary_location = found[0]
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(found[1]))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def shown(fitted):
    """What the page shows: a fit with a gene, a label, a cell and a column whose names look like HTML."""
    adata = fitted.copy()
    best = adata.var["fit_gain"].sort_values(ascending=False).index
    adata.var_names = [HOSTILE if name == best[5] else name for name in adata.var_names]
    adata.obs_names = [f"<b>{name}</b>" for name in adata.obs_names]
    adata.obs["stage"] = np.where(adata.obs["true_time"] < 0.5, LABEL, "late")
    adata.obs["stage"] = adata.obs["stage"].astype("category")
    return adata


@pytest.fixture(scope="module")
def loaded(browser, shown, tmp_path_factory):
    """The page, ready, in a browser; and what the browser logged meanwhile."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    browser.get("about:blank")
    browser.get_log("performance")  # what the browser's own first page asked for
    vt.report(shown, path, title=f"Cells of {HOSTILE}")
    visit(browser, path)
    return browser


def visit(browser, path: Path):
    browser.get(path.as_uri())
    WebDriverWait(browser, 60).until(
        lambda page: page.execute_script(
            "return document.body.dataset.ready === 'true' || !document.getElementById('failure').hidden"
        )
    )


def click(browser, element):
    browser.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
    element.click()


def by_id(browser, name):
    return browser.find_element("id", name)


def gene_name(browser):
    return by_id(browser, "gene-name").text


def source(browser, name):
    """Columns of one of bokeh's sources, once the plots have followed the choice."""
    script = """
        const found = Bokeh.documents.map((doc) => doc.get_model_by_name(arguments[0])).find((model) => model);
        return Object.fromEntries(Object.entries(found.data).map(([key, values]) => [key, Array.from(values)]));
    """
    return browser.execute_script(script, name)


def wait_for_gene(browser, name):
    WebDriverWait(browser, 20).until(lambda page: gene_name(page) == name)


def choose(browser, name):
    search = by_id(browser, "search")
    search.send_keys(Keys.ESCAPE)
    search.send_keys(name, Keys.ENTER)
    wait_for_gene(browser, name)


def ranked(adata):
    return list(vt.tl.rank_genes(adata, by="fit_gain").index)


def test_loads_without_errors_or_requests(loaded):
    errors = [entry for entry in loaded.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert errors == []
    assert by_id(loaded, "failure").get_attribute("hidden") == "true"
    urls = []
    for entry in loaded.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            urls.append(message["params"]["request"]["url"])
    assert any(url.startswith("file:") for url in urls)
    assert [url for url in urls if not url.startswith(("file:", "data:", "blob:"))] == []


def test_every_plot_is_drawn_and_named(loaded):
    for name in ("map", "portrait", "unspliced", "spliced"):
        plot = by_id(loaded, f"plot-{name}")
        assert plot.size["width"] > 250
        assert plot.size["height"] > 150
        assert plot.get_attribute("aria-label")
    assert len(source(loaded, "map_cells")["x"]) == 600


def test_search_finds_a_gene_and_choosing_it_changes_the_plot(loaded, shown):
    wanted = ranked(shown)[20]
    choose(loaded, ranked(shown)[0])
    before = source(loaded, "portrait_cells")
    search = by_id(loaded, "search")
    search.send_keys(Keys.ESCAPE)
    search.send_keys(wanted.upper())
    rows = loaded.find_elements("css selector", "#gene-table tbody tr")
    assert rows[0].text.startswith(wanted)
    assert f"of {shown.n_vars} genes" in by_id(loaded, "found").text
    click(loaded, rows[0])
    wait_for_gene(loaded, wanted)
    after = source(loaded, "portrait_cells")
    assert before["y"] != after["y"]
    assert wanted in by_id(loaded, "plot-portrait").get_attribute("aria-label")


def test_a_search_without_a_find_says_so(loaded):
    search = by_id(loaded, "search")
    search.send_keys(Keys.ESCAPE)
    search.send_keys("no such gene")
    assert "No fitted gene has “no such gene”" in by_id(loaded, "found").text
    search.send_keys(Keys.ESCAPE)
    assert by_id(loaded, "found").text == "100 genes"


def test_what_is_drawn_is_the_fit(loaded, shown):
    gene = ranked(shown)[3]
    choose(loaded, gene)
    g = shown.var_names.get_loc(gene)
    fitted = Fitted.of(shown)
    u, s = (values[:, 0] for values in fitted.values([g]))
    cells = source(loaded, "portrait_cells")
    assert np.abs(np.array(cells["x"]) - s).max() <= 0.15 + 1e-3 * s.max()
    assert np.abs(np.array(cells["y"]) - u).max() <= 0.15 + 1e-3 * u.max()
    curve, theta = gene_curves(fitted, g)[0], columns_of(fitted.theta(np.array([g])))[0]
    for k, layer in enumerate(("unspliced", "spliced")):
        line = source(loaded, f"{layer}_curves")
        expected = switch_means(theta, np.array(line["xs"][0]))[k][0]
        np.testing.assert_allclose(line["ys"][0], expected, rtol=5e-3, atol=1e-3 * curve.means.max())
        switches = source(loaded, f"{layer}_switches")
        np.testing.assert_allclose(switches["x"], curve.switches, rtol=1e-3)
        np.testing.assert_allclose(switches["y"], curve.at_switches[k], rtol=1e-3)


def test_rates_have_intervals(loaded, shown):
    gene = ranked(shown)[3]
    choose(loaded, gene)
    rates = vt.tl.rank_genes(shown, by="fit_gain").loc[gene]
    cells = [cell.text for cell in loaded.find_elements("css selector", "#rates tbody tr:nth-child(2) > *")]
    assert cells[0] == "Degradation rate γ"
    assert float(cells[1]) == pytest.approx(rates["gamma"], rel=6e-3)
    low, high = (float(number) for number in cells[2].split(" to "))
    assert (low, high) == pytest.approx((rates["gamma_low"], rates["gamma_high"]), rel=6e-3)


def test_the_table_is_walked_by_keyboard(loaded, shown):
    names = ranked(shown)
    search = by_id(loaded, "search")
    search.send_keys(Keys.ESCAPE)
    choose(loaded, names[0])
    search.send_keys(Keys.ESCAPE, Keys.ARROW_DOWN)
    wait_for_gene(loaded, names[0])
    for key, name in (
        (Keys.ARROW_DOWN, names[1]),
        (Keys.END, names[-1]),
        (Keys.HOME, names[0]),
        (Keys.PAGE_DOWN, names[8]),
    ):
        loaded.switch_to.active_element.send_keys(key)
        wait_for_gene(loaded, name)
        focused = loaded.switch_to.active_element
        assert focused.tag_name == "tr"
        assert focused.get_attribute("aria-selected") == "true"
    style = "const style = getComputedStyle(document.activeElement); return [style.outlineStyle, style.outlineWidth]"
    assert loaded.execute_script(style) == ["solid", "3px"]
    loaded.switch_to.active_element.send_keys(Keys.HOME)
    loaded.switch_to.active_element.send_keys(Keys.ARROW_UP)
    assert loaded.switch_to.active_element.get_attribute("id") == "search"


def test_tab_reaches_everything_in_order(loaded):
    loaded.execute_script("document.querySelector('.skip').focus()")
    stops = ["skip"]
    for _ in range(60):
        ActionChains(loaded).send_keys(Keys.TAB).perform()
        element = loaded.switch_to.active_element
        if element.get_attribute("class") == "skip":
            break  # once around
        if element.tag_name in ("body", "html"):
            continue  # the browser's own controls, or a press that came before the window had the focus
        stops.append(element.get_attribute("id") or element.get_attribute("class") or element.tag_name)
    order = [
        stops.index(stop) for stop in ("skip", "summary", "color-by", "search", "button", "tr", "previous", "next")
    ]
    assert order == sorted(order)
    assert stops.count("tr") == 1  # one stop for the whole table


def test_sorting(loaded, shown):
    header = next(
        head for head in loaded.find_elements("css selector", "#gene-table th") if head.text.startswith("Deg")
    )
    first = "return document.querySelector('#gene-table tbody tr').gene.values.gamma"
    gamma = shown.var["fit_gamma"]
    for order, expected in (("descending", gamma.max()), ("ascending", gamma.min())):
        click(loaded, header.find_element("tag name", "button"))
        assert header.get_attribute("aria-sort") == order
        assert loaded.execute_script(first) == pytest.approx(expected, rel=1e-4)
    loaded.execute_script("document.querySelector('#gene-table th[data-key=fit_gain] button').click()")


def test_cells_are_coloured_by_labels(loaded, shown):
    before = source(loaded, "map_cells")["color"]
    select = Select(by_id(loaded, "color-by"))
    select.select_by_visible_text("stage")
    colors = source(loaded, "map_cells")["color"]
    assert colors != before
    assert len(set(colors)) == 2
    n = int((shown.obs["stage"] == "late").sum())
    assert f"late\n{n}" in by_id(loaded, "legend").text
    assert set(source(loaded, "spliced_cells")["color"]) == set(colors)
    select.select_by_index(0)
    assert source(loaded, "map_cells")["color"] == before


def test_names_that_look_like_html_are_names(loaded):
    choose(loaded, HOSTILE)
    Select(by_id(loaded, "color-by")).select_by_visible_text("stage")
    assert LABEL in by_id(loaded, "legend").text
    Select(by_id(loaded, "color-by")).select_by_index(0)
    assert loaded.find_element("tag name", "h1").text == f"Cells of {HOSTILE}"
    assert loaded.find_elements("css selector", "main img, main b, main script") == []


def test_hovering_a_cell_shows_its_name_as_text(loaded):
    plot = by_id(loaded, "plot-map")
    loaded.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", plot)
    x, y = loaded.execute_script(WHERE_THE_FIRST_CELL_IS)
    ActionChains(loaded).move_to_element_with_offset(plot, x, y).perform()
    WebDriverWait(loaded, 20).until(lambda page: "<b>cell_" in page.execute_script(EVERYTHING)[0])
    assert loaded.execute_script(EVERYTHING)[1] == 0


def test_a_narrow_screen_does_not_overflow(loaded):
    size = loaded.get_window_size()
    loaded.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        wide = WebDriverWait(loaded, 20)
        wide.until(lambda page: page.execute_script("return document.documentElement.scrollWidth") <= 390)
    finally:
        loaded.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert loaded.get_window_size() == size


def test_a_printed_table_has_its_header_on_every_page_and_intervals_in_one_piece(loaded):
    """A header is repeated unless something in it, such as a button, has a box of its own."""
    style = "return getComputedStyle(document.querySelector(arguments[0])).getPropertyValue(arguments[1])"
    loaded.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert loaded.execute_script(style, "#gene-table thead button", "display") == "contents"
        assert loaded.execute_script(style, "#gene-table thead th", "position") == "static"
        assert loaded.execute_script(style, "#gene-table .interval", "white-space") == "nowrap"
    finally:
        loaded.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_lineages_and_missing_slots(browser, forked, tmp_path):
    """Two lineages, no errors of rates, no embedding: a curve each, and no word of what is not there."""
    del forked.obsm["X_umap"]
    vt.report(forked, tmp_path / "forked.html")
    visit(browser, tmp_path / "forked.html")
    assert [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    assert len(source(browser, "portrait_curves")["xs"]) == 2
    legend = by_id(browser, "curve-legend").text.split("\n")
    assert sum("lineage" in entry for entry in legend) == 2
    assert any(entry.endswith(("lineage 0", "(lineage 0)")) for entry in legend)
    assert "There is no embedding" in browser.find_element("tag name", "main").text
