"""The explorer in a real browser: what it shows, that it asks for nothing, that all can use it."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from reclust_spark.paths import ROOT
from reclust_spark.report import page_data
from reclust_spark.report.colours import NOISE, colour_of
from reclust_spark.report.content import CAUTION, CONDITIONAL, HIDDEN, STOP_WORDS, CellKey, Report
from reclust_spark.report.explorer import write_page
from reclust_spark.warehouse.names import SHARE
from tests.reports import HOSTILE, LONG, crossed_widely, made_up, one_node

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
FOUR = ("liberal", "prays daily", "reads the news", "has a garden")
"""As many words as keep siblings, and a cluster and its parent, apart."""


class Sight(NamedTuple):
    """A page that is looked at, with what it has asked for and complained of."""

    page: Page
    url: str
    asked: list[str]
    errors: list[str]


class Visitor:
    """Goes to pages of reports, and keeps what they have asked for and complained of."""

    def __init__(
        self, browser: Browser, files: Callable[[str], Path], opened: dict[str, Sight]
    ) -> None:
        self.browser, self.files, self.opened = browser, files, opened
        self.seen: list[Sight] = []

    def __call__(
        self,
        name: str = "plain",
        address: str = "#/",
        viewport: Any = DESKTOP,
        scheme: str = "light",
    ) -> Page:
        """Go to an address of a page that may be open already, from a test before."""
        if name not in self.opened:
            self.opened[name] = self._open(name)
        self.seen.append(self.opened[name])
        page = self.opened[name].page
        page.set_viewport_size(viewport)
        page.emulate_media(media="screen", color_scheme=scheme)
        page.evaluate("(address) => { location.hash = address; scrollTo(0, 0) }", address)
        page.wait_for_function(f"document.documentElement.dataset.theme === '{scheme}'")
        page.locator("#search-input").fill("")
        page.evaluate("document.activeElement.blur()")
        return page

    def afresh(self, name: str = "plain", address: str = "", script: str = "") -> Page:
        """Load a page."""
        self.seen.append(self._open(name, address, script))
        return self.seen[-1].page

    def _open(self, name: str, address: str = "", script: str = "") -> Sight:
        context = self.browser.new_context(viewport=DESKTOP)
        if script:
            context.add_init_script(script)
        sight = Sight(context.new_page(), self.files(name).as_uri(), [], [])
        context.on("request", lambda request: sight.asked.append(request.url))
        sight.page.on("pageerror", lambda error: sight.errors.append(str(error)))
        sight.page.on(
            "console",
            lambda line: sight.errors.append(line.text) if line.type == "error" else None,
        )
        sight.page.goto(sight.url + address)
        return sight


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=FLAGS, timeout=60_000
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    return {
        "plain": made_up(words=FOUR),
        "hostile": made_up(words=HOSTILE),
        "one": one_node(),
        "forty": made_up(shape=(40,), words=(LONG,), n_map=2_000),
        "images": made_up(words=FOUR, images=True),
        "unexplained": bare(made_up(words=FOUR)),
    }


@pytest.fixture(scope="module")
def files(reports, tmp_path_factory) -> Callable[[str], Path]:
    """Write a report's page, once."""
    folder = tmp_path_factory.mktemp("pages")

    def file(name: str) -> Path:
        path = folder / f"{name}.html"
        if not path.exists():
            path.write_text(write_page(reports[name]), encoding="utf-8")
        return path

    return file


@pytest.fixture(scope="module")
def opened(browser) -> Iterator[dict[str, Sight]]:
    """Pages that stay open from test to test: plotly.js takes its time to be read."""
    pages: dict[str, Sight] = {}
    yield pages
    for sight in pages.values():
        sight.page.context.close()


@pytest.fixture
def visit(browser, files, opened) -> Iterator[Visitor]:
    """Visit pages; in the end they have asked for themselves alone, and have not complained."""
    visitor = Visitor(browser, files, opened)
    yield visitor
    for sight in visitor.seen:
        assert {url.partition("#")[0] for url in sight.asked} == {sight.url}
        assert sight.errors == []
        if sight not in opened.values():
            sight.page.context.close()


@pytest.fixture
def keep(tmp_path) -> Callable[[Page, str], None]:
    """Keep a picture of what is on the screen."""
    folder = Path(os.environ.get("RECLUST_SCREENSHOTS", tmp_path))

    def shoot(page: Page, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        page.wait_for_timeout(100)
        page.screenshot(path=folder / f"{name}.png")

    return shoot


def bare(report: Report) -> Report:
    """Return a report of a tree that has not been explained."""
    clusters = {
        path: replace(
            cluster, label=path, by_analyst=False, answers=(), swarms=(), siblings=(),
            certainty=None, agreement=None, stability=None,
        )
        for path, cluster in report.clusters.items()
    }  # fmt: skip
    return replace(report, clusters=clusters, agreement={})


def place(page: Page) -> str:
    return page.url.partition("#")[2]


def traces(page: Page) -> list[dict[str, Any]]:
    return page.evaluate(
        """() => document.getElementById("map").data.map(({type, marker, x, y}) =>
            ({type, color: marker.color, opacity: marker.opacity, x, y}))"""
    )


def click_cluster(page: Page, colour: str) -> None:
    """Click on the dot that is farthest out of a cluster on the map, where no label covers it."""
    at = page.evaluate(
        """(colour) => {
            const map = document.getElementById("map");
            const {x, y} = map.data.find(({marker}) => marker.color === colour);
            const away = x.map((one, i) => Math.hypot(one - x[0], y[i] - y[0]));
            const i = away.indexOf(Math.max(...away));
            const [{xaxis, yaxis}, box] = [map._fullLayout, map.getBoundingClientRect()];
            return [
                box.x + xaxis._offset + xaxis.l2p(x[i]),
                box.y + yaxis._offset + yaxis.l2p(y[i]),
            ];
        }""",
        colour,
    )
    page.mouse.move(at[0] + 1, at[1])
    page.wait_for_timeout(150)
    page.mouse.click(*at)


def tab_to(page: Page, selector: str, most: int = 60) -> None:
    """Press Tab until something has the focus."""
    for _ in range(most):
        if page.evaluate("(s) => document.activeElement.matches(s)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {selector}")


# ---- the map, and ways about


def test_it_opens_from_disk_with_the_map_of_everyone(visit, reports, keep):
    page = visit.afresh("plain")
    expect(page).to_have_title("Everyone · Who they are")
    expect(page.locator("#heading")).to_have_text("Everyone")
    drawn, known = traces(page), reports["plain"].root.map
    assert [trace["color"] for trace in drawn] == [
        NOISE, *(colour_of(f"/00{number}/") for number in (1, 2, 3)),
    ]  # fmt: skip
    for number, trace in enumerate(drawn):
        x = known.x[known.child == number]
        np.testing.assert_allclose(trace["x"], x, atol=1e-3 * np.ptp(known.x))
    labels = page.evaluate(
        "document.getElementById('map').layout.annotations.map(({text, x}) => [text, x])"
    )
    assert [text for text, _ in labels] == ["<b>1</b>", "<b>2</b>", "<b>3</b>"]
    assert labels[0][1] == pytest.approx(np.median(known.x[known.child == 1]), abs=0.2)
    keep(page, "root")


def test_clicks_on_the_map_zoom_in_two_levels_and_back_goes_out(visit, keep):
    page = visit()
    click_cluster(page, colour_of("/002/"))
    expect(page.locator("#heading")).to_contain_text("2")
    assert place(page) == "/002/"
    expect(page.locator("#crumbs")).to_have_text(re.compile(r"Everyone\s*2"))
    keep(page, "one-level")
    click_cluster(page, colour_of("/002/001/"))
    expect(page.locator("#heading")).to_contain_text("2.1")
    assert place(page) == "/002/001/"
    expect(page.locator("#heading")).to_be_focused()
    expect(page.locator("#said")).to_contain_text("not split further")
    page.go_back()
    expect(page.locator("#heading .chip")).to_have_text("2")
    page.go_back()
    expect(page.locator("#heading")).to_have_text("Everyone")
    assert len(traces(page)) == 4
    page.go_forward()
    expect(page.locator("#heading .chip")).to_have_text("2")


def test_labels_buttons_rings_and_the_path_lead_to_clusters(visit):
    page = visit()
    page.locator("#map .annotation", has_text="3").click()
    expect(page.locator("#heading .chip")).to_have_text("3")
    page.locator(".children button").nth(1).click()
    expect(page.locator("#heading .chip")).to_have_text("3.2")
    page.locator("#crumbs a", has_text="Everyone").click()
    expect(page.locator("#heading")).to_have_text("Everyone")
    page.locator("#sunburst .slice", has_text="1.2").click()
    expect(page.locator("#heading .chip")).to_have_text("1.2")
    expect(page.locator("#sunburst .slice.marked")).to_have_text("1.2")


def test_a_leaf_stands_out_on_the_map_of_its_parent(visit, keep):
    page = visit("plain", "#/002/001/")
    opacity = {trace["color"]: trace["opacity"] for trace in traces(page)}
    assert opacity[colour_of("/002/001/")] > 4 * opacity[colour_of("/002/002/")]
    expect(page.locator("#map-caption")).to_contain_text("map of its parent, 2.")
    expect(page.locator("#panel")).to_contain_text(STOP_WORDS["max_depth"])
    keep(page, "leaf")


def test_an_address_opens_its_cluster(visit):
    page = visit.afresh("plain", "#/003/001/")
    expect(page.locator("#heading .chip")).to_have_text("3.1")
    chosen = page.get_by_role("treeitem", selected=True)
    expect(chosen).to_have_attribute("data-path", "/003/001/")
    for short in ("#/2/1", "#2.1", "#/002/001"):
        page.evaluate("(address) => { location.hash = address }", short)
        expect(page.locator("#heading .chip")).to_have_text("2.1")
        assert place(page) == "/002/001/"
        page.go_back()
        expect(page.locator("#heading .chip")).to_have_text("3.1")


def test_an_unknown_address_says_so_and_offers_the_nearest(visit, keep):
    page = visit()
    for address, near in (
        ("#/003/009/001/", "/003/"),
        ("#/009/", ROOT),
        ("#/no/such", ROOT),
        ("#%E0%A4%A", ROOT),
    ):
        page.evaluate("(address) => { location.hash = address }", address)
        expect(page.locator("h1:visible")).to_contain_text("There is no cluster")
        expect(page.locator("#view")).to_be_hidden()
        if near != ROOT:
            keep(page, "unknown")
        page.locator("#unknown a").click()
        expect(page.locator("#view")).to_be_visible()
        assert place(page) == near


# ---- the panel


def test_the_panel_says_what_is_known_of_a_cluster(visit, reports, keep):
    cluster = reports["plain"].clusters["/001/002/"]
    page = visit("plain", "#/001/002/")
    panel = page.locator("#panel")
    expect(panel.locator(".figures")).to_contain_text(f"{cluster.n:,}")
    expect(panel.locator(".figures")).to_contain_text(f"of everyone, weighted{cluster.share:.1%}")
    expect(panel.locator(".figures")).to_contain_text(
        f"of its parent, weighted{cluster.parent_share:.1%}"
    )
    first = panel.locator(".answers li").first
    expect(first).to_contain_text(cluster.answers[0].question)
    expect(first).to_contain_text("× 3.2")
    expect(first.locator(".here dd")).to_have_text(cluster.answers[0].here)
    expect(panel).to_contain_text(f"Stability{cluster.stability:.2f}")
    expect(panel).to_contain_text("not known: it is not split")
    expect(panel).to_contain_text("AUC0.987")
    expect(panel).to_contain_text(CAUTION)
    expect(panel.locator(".confused")).to_contain_text("93.0%here")
    keep(page, "panel")


def test_a_swarm_puts_every_person_at_their_value_and_says_the_answer(visit, reports, keep):
    swarms = reports["plain"].clusters["/001/"].swarms
    page = visit("plain", "#/001/")
    page.locator(".swarm-label").first.scroll_into_view_if_needed()
    plot = page.locator(".rows-plot").first
    expect(plot.locator(".point").first).to_be_attached()
    data = plot.evaluate("(plot) => plot.data.map(({x, y, hovertext}) => ({x, y, hovertext}))")
    assert sum(len(trace["x"]) for trace in data) == sum(len(swarm.shap) for swarm in swarms)
    silent, answered = data
    assert all("no answer" in said for said in silent["hovertext"])
    known = np.sort(np.concatenate([swarm.shap[swarm.word >= 0] for swarm in swarms]))
    np.testing.assert_allclose(np.sort(answered["x"]), known, atol=1e-3)
    levels = {level for swarm in swarms for level in swarm.words}
    shown = {said.partition("<br>")[0].strip("\u2068\u2069") for said in answered["hovertext"]}
    assert shown == levels
    keep(page, "swarm")


def test_the_analyst_is_named_and_their_notes_are_shown(visit):
    page = visit("plain", "#/001/")
    expect(page.locator("#head")).to_contain_text("named by an analyst")
    expect(page.locator(".note")).to_contain_text("they told us so.")
    expect(page.locator(".note footer")).to_have_text("ada, 1 June 2024")


def test_images_are_shown_as_they_are(visit, reports, keep):
    page = visit("images", "#/001/")
    expect(page.get_by_role("img", name="Average image of cluster 1", exact=True)).to_be_visible()
    expect(page.get_by_role("img", name="Most typical image of cluster 1")).to_be_visible()
    expect(page.locator(".children canvas")).to_have_count(2)
    shown = page.locator(".picture").first.evaluate(
        "(canvas) => [...canvas.getContext('2d').getImageData(0, 0, 28, 28).data]"
    )
    mean = reports["images"].clusters["/001/"].picture.mean
    np.testing.assert_array_equal(np.array(shown).reshape(28, 28, 4)[..., 0], 255 - mean)
    keep(page, "images")


def test_a_tree_of_one_node(visit, keep):
    page = visit("one")
    expect(page.locator("#heading")).to_have_text("Everyone")
    expect(page.locator("#map")).to_be_hidden()
    expect(page.locator("#map-caption")).to_contain_text("There is no map")
    expect(page.locator("#panel")).to_contain_text("No outside questions")
    page.keyboard.press("/")
    page.keyboard.type("liberal")
    expect(page.locator("#search-list [role=option]")).to_contain_text("leads in no cluster")
    keep(page, "one-node")


def test_a_cluster_without_explanations_says_so(visit, keep):
    page = visit("unexplained", "#/001/")
    panel = page.locator("#panel")
    expect(panel).to_contain_text("has not been explained: its leading questions are not known")
    expect(panel).to_contain_text("It has no model")
    expect(panel).to_contain_text("Stabilitynot known")
    expect(page.locator("#about-caveats")).to_contain_text("has not been measured for all")
    keep(page, "unexplained")


# ---- outside questions


def test_outside_questions_are_answered_cluster_by_cluster(visit, reports, keep):
    page = visit("plain", "#/001/")
    alone = reports["plain"].outside[0]
    cell = alone.cells[CellKey("/001/", "", "against", SHARE)]
    page.get_by_role("button", name="Outside questions").click()
    page.locator("#outside-question").select_option("vote")
    page.locator("#outside-by").select_option("")
    page.locator(".as-table summary").first.click()
    row = page.locator(".as-table tr", has_text="against").first
    expect(row).to_contain_text(f"{cell.value:.1%}")
    expect(row).to_contain_text(f"{100 * cell.low:.1f}–{cell.high:.1%}")
    expect(row).to_contain_text(f"{cell.population_value:.1%}")
    expect(row).to_contain_text("yes, q" if cell.q <= 0.05 else f"q {cell.q:.3f}")
    for said in (CONDITIONAL, HIDDEN):
        expect(page.locator(".remarks")).to_contain_text(said)
    # its clusters, for another answer
    page.locator("#outside-line").select_option("neither")
    child = alone.cells[CellKey("/001/002/", "", "neither", SHARE)]
    expect(page.locator(".interval-label", has_text="1.2")).to_contain_text(f"{child.value:.1%}")
    # a mean
    page.locator("#outside-question").select_option("How old are you?")
    expect(page.locator("#panel .interval-label").first).to_contain_text("mean")
    keep(page, "outside-mean")


def test_outside_questions_by_a_second_one_hide_small_cells(visit, reports, keep):
    crossed = reports["plain"].outside[1]
    hidden = next(key for key, cell in crossed.cells.items() if cell.suppressed)
    page = visit("plain", f"#{hidden.path}")
    page.locator("#outside-question").select_option("vote")
    page.locator("#outside-by").select_option(f"{FOUR[0]}: state")
    page.locator("#outside-among").select_option(hidden.by_level)
    label = page.locator(".interval-label").first
    expect(label).to_contain_text("hidden")
    page.locator(".as-table summary").first.click()
    expect(page.locator(".as-table tbody tr").first).to_contain_text("hidden: too few people")
    page.locator("#outside").scroll_into_view_if_needed()
    # the choice stays with the reader
    page.locator("#crumbs a").first.click()
    expect(page.locator("#outside-among")).to_have_value(
        str(crossed.by_levels.index(hidden.by_level))
    )
    keep(page, "outside-by")


def test_what_does_not_fit_is_left_out_and_named(monkeypatch):
    report = made_up()
    monkeypatch.setattr(page_data, "OUTSIDE_CELLS", len(report.outside[0].cells) + 40)
    data = page_data.data_of(report)
    assert [data["texts"][one["question"]] for one in data["outside"]] == ["vote", "age"]
    assert [[data["texts"][at] for at in pair] for pair in data["left_out"]] == [
        ["liberal: whom did you vote for?", "liberal: state"]
    ]


def test_clusters_that_were_not_crossed_take_no_room():
    report = crossed_widely(made_up())
    data = page_data.data_of(report)
    wide = next(one for one in data["outside"] if len(one["by_levels"]) == 50)
    paths = [data["clusters"][i]["path"] for i in wide["paths"]]
    assert paths == [path for path in report.clusters if path.count("/") < 3]
    marks = base64.b64decode(wide["marks"])
    assert len(marks) == len(paths) * 50 * len(wide["levels"])
    assert data["left_out"] == []


# ---- search


def test_search_finds_clusters_by_label_path_and_answer(visit, reports, keep):
    page = visit()
    page.keyboard.press("/")
    box = page.get_by_role("combobox", name="Search")
    expect(box).to_be_focused()
    page.keyboard.type("2.1")
    expect(page.locator("#search-list [role=option]")).to_have_count(1)
    box.fill("/003/002/")
    expect(page.locator("#search-list [role=option]").first).to_contain_text("3.2")
    box.fill("GÁRDEN")
    labelled = [c for c in reports["plain"].clusters.values() if c.label == "has a garden"]
    options = page.locator("#search-list [role=option]")
    assert [options.nth(i).locator(".chip").inner_text() for i in range(len(labelled))] == [
        ".".join(str(int(part)) for part in c.path.strip("/").split("/")) for c in labelled
    ]
    keep(page, "search")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#heading")).to_contain_text("has a garden")
    expect(page.locator("#heading")).to_be_focused()


def test_a_question_leads_to_its_clusters_by_rank(visit, reports, keep):
    page = visit()
    page.keyboard.press("/")
    page.keyboard.type("question 3")
    options = page.locator("#search-list [role=option]")
    expect(options).to_contain_text("leads in 9 clusters")
    page.keyboard.press("Enter")
    expect(options).to_have_count(9)
    expect(options.first).to_contain_text("4th question")
    keep(page, "search-question")
    page.keyboard.press("Escape")
    expect(page.locator("#search-found")).to_be_hidden()
    page.get_by_role("combobox", name="Search").fill("zzz")
    expect(page.locator("#search-head")).to_have_text("Nothing found")


# ---- for everyone


def test_the_keyboard_alone_leads_to_a_cluster_and_an_outside_question(visit):
    page = visit.afresh("plain")
    page.keyboard.press("Tab")
    expect(page.locator("#skip")).to_be_focused()
    tab_to(page, "[role=treeitem]")
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#heading .chip")).to_have_text("1.1")
    expect(page.locator("#heading")).to_be_focused()
    expect(page.locator("#said")).to_contain_text("1.1")
    tab_to(page, ".jump:last-child")
    page.keyboard.press("Enter")
    expect(page.locator("h2#outside")).to_be_focused()
    tab_to(page, "#outside-question")
    page.keyboard.press("H")  # How old are you?
    expect(page.locator("#outside-question")).to_have_value("age")
    expect(page.locator("#outside-question")).to_be_focused()
    expect(page.locator(".interval-label").first).to_contain_text("mean")


def test_the_tree_knows_all_its_keys(visit):
    page = visit.afresh("plain")

    def at() -> str:
        return page.evaluate("document.activeElement.dataset.path")

    tab_to(page, "[role=treeitem]")
    walk = [
        ("End", "/003/"), ("ArrowRight", "/003/"), ("ArrowRight", "/003/001/"),
        ("ArrowDown", "/003/002/"), ("ArrowLeft", "/003/"), ("ArrowLeft", "/003/"),
        ("ArrowDown", "/003/"), ("Home", "/"), ("2", "/002/"), ("ArrowUp", "/001/"),
        ("*", "/001/"), ("ArrowDown", "/001/001/"),
    ]  # fmt: skip
    for key, path in walk:
        page.keyboard.press(key)
        assert at() == path, key
    assert page.locator("[role=treeitem][tabindex='0']").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit, keep, scheme):
    page = visit("images", "#/001/", scheme=scheme)
    page.locator("#outside").scroll_into_view_if_needed()
    page.locator(".as-table summary").first.click()
    page.keyboard.press("/")
    page.keyboard.type("liberal")
    keep(page, f"axe-{scheme}")
    found = Axe().run(page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in serious] == []


def test_dark_is_a_choice_that_plots_follow(visit, keep):
    page = visit("plain", "#/001/")
    plot = "document.getElementById('map').layout"
    light = page.evaluate(f"{plot}.font.color")
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(f"{plot}.font.color") != light
    expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")
    keep(page, "dark")
    # the system's change counts again
    page.emulate_media(color_scheme="dark")
    page.evaluate("new Promise((seen) => requestAnimationFrame(() => setTimeout(seen)))")
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"{plot}.font.color === '{light}'")


@pytest.mark.parametrize("name", ["plain", "hostile", "forty"])
def test_a_phone_needs_no_sideways_scrolling(visit, keep, name):
    page = visit(name, "#/002/", viewport=PHONE)
    keep(page, f"phone-{name}")
    for summary in page.locator("#panel summary").all():
        summary.click()
    page.keyboard.press("/")
    page.keyboard.type("script" if name == "hostile" else "people")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Clusters").click()
    page.locator("[data-path='/001/'] > .tree-row").click()
    expect(page.locator("#heading .chip")).to_have_text("1")
    expect(page.locator("#side")).to_be_hidden()


def test_forty_labels_do_not_cover_each_other(visit, keep):
    page = visit("forty")
    boxes = page.evaluate(
        """() => [...document.querySelectorAll("#map .annotation .bg")].map((one) => {
            const {x, y, width, height} = one.getBoundingClientRect();
            return [x, y, x + width, y + height];
        })"""
    )
    assert len(boxes) == 40
    for i, one in enumerate(boxes):
        for other in boxes[:i]:
            assert (
                min(one[2], other[2]) - max(one[0], other[0]) < 2
                or min(one[3], other[3]) - max(one[1], other[1]) < 2
            )
    expect(page.locator(".child-label").first).to_have_text(LONG)
    keep(page, "forty")


def test_without_webgl_maps_are_drawn_with_fewer_points(visit, keep):
    none = """const context = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
            return kind.includes("webgl") ? null : context.call(this, kind, ...more);
        };"""
    page = visit.afresh("forty", script=none)
    drawn = traces(page)
    assert {trace["type"] for trace in drawn} == {"scatter"}
    assert 900 < sum(len(trace["x"]) for trace in drawn) <= 1_500
    expect(page.locator("#svg-notice")).to_contain_text("no WebGL")
    expect(page.locator("#map .point").first).to_be_visible()
    keep(page, "no-webgl")


def test_paper_gets_all_of_it(visit):
    page = visit("plain", "#/001/")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(page.locator(".top")).to_be_hidden()
    expect(page.locator(".answers li")).to_have_count(10)
    for answer in page.locator(".answers li").all():
        expect(answer).to_be_visible()
    expect(page.locator(".rows-plot .point").first).to_be_attached()


# ---- what a survey may hold


def test_hostile_texts_are_texts(visit, reports, keep):
    page = visit("hostile")
    assert page.evaluate("document.querySelectorAll('script').length") == 3
    for path, cluster in list(reports["hostile"].clusters.items())[1:6]:
        page.evaluate("(path) => { location.hash = path }", path)
        expect(page.locator("#heading [dir=auto]").last).to_be_visible()
        # browsers show line breaks and tabs in a line as spaces, and so does the assertion
        assert (
            page.locator("#heading [dir=auto]").last.evaluate("(e) => e.textContent")
            == cluster.label
        )
    page.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
    page.locator(".swarm-label").last.scroll_into_view_if_needed()
    expect(page.locator(".rows-plot .point").first).to_be_attached()
    page.keyboard.press("/")
    page.keyboard.type("script")
    expect(page.locator("#search-list [role=option]").first).to_be_visible()
    assert page.evaluate("typeof window.broken") == "undefined"
    for foreign in ("img", "main b:not(.prose b, .measures b)", "a[href^=javascript]", "svg a"):
        assert page.locator(foreign).count() == 0
    keep(page, "hostile")


def test_what_a_plot_says_of_hostile_texts_is_text(visit):
    page = visit("hostile")
    said = page.evaluate(
        "document.getElementById('map').data.map(({hovertext}) => hovertext).filter(Boolean)"
    )
    assert len(said) == 3
    for text in said:
        inner = re.sub(r"^<b>\d</b> · [\d.]+%|<br>", "", text)
        assert not set(inner) & set("<>\x00\n")
    number = 1 + next(i for i, text in enumerate(said) if "script" in text)
    at = page.locator("#map .annotation").nth(number - 1).bounding_box()
    page.mouse.move(at["x"] - 4, at["y"] + at["height"] / 2)
    hover = page.locator("#map .hovertext")
    expect(hover).to_contain_text("script>")
    assert page.evaluate("typeof window.broken") == "undefined"


def test_long_texts_are_short_at_first_and_can_be_read_whole(visit, reports):
    path = next(
        path for path, one in reports["hostile"].clusters.items() if one.label == HOSTILE[-1]
    )
    page = visit("hostile", f"#{path}")
    short = page.locator("#heading").bounding_box()["height"]
    page.locator("#heading button", has_text="Read all of it").click()
    assert page.locator("#heading").bounding_box()["height"] > 5 * short
    expect(page.locator("#heading button")).to_have_attribute("aria-expanded", "true")


def test_the_policy_lets_nothing_else_run(browser, files):
    page = browser.new_page()
    page.goto(files("one").as_uri())
    page.evaluate(
        """() => {
            const hostile = "<img src='x' onerror='window.broken = 1'>";
            document.body.insertAdjacentHTML("beforeend", hostile);
            const script = document.createElement("script");
            script.textContent = "window.broken = 1";
            document.body.append(script);
        }"""
    )
    page.wait_for_timeout(200)
    assert page.evaluate("typeof window.broken") == "undefined"
    assert page.evaluate("fetch('https://example.org').catch((error) => error.name)") == "TypeError"
    page.close()


# ---- its size, and what is not in it


def test_two_hundred_clusters_of_a_million_people_fit_in_fifteen_megabytes():
    report = made_up(shape=(8, 4, 5), n_map=3_650)
    assert sum(len(one.map.x) for one in report.clusters.values() if one.map) > 145_000
    page = write_page(replace(report, n=1_000_000))
    assert len(page.encode()) < 15e6


def test_nobodys_id_is_in_the_page(files):
    page = files("images").read_text(encoding="utf-8")
    data = re.search(r'<script type="application/json" id="report">(.*?)</script>', page, re.S)
    assert data is not None
    names: set[str] = set()
    json.loads(data[1], object_pairs_hook=lambda pairs: names.update(name for name, _ in pairs))
    assert "path" in names
    assert not [name for name in names if re.search(r"\bid$|_id|row_", name)]
