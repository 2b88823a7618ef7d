"""The deck: its words and figures read back, its looks through LibreOffice.

Pictures of the pages are kept in the folder that RECLUST_SCREENSHOTS names, where it is set.
"""

import io
import os
import subprocess
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pptx import Presentation
from pptx.enum.shapes import MSO_SHAPE_TYPE, PP_PLACEHOLDER
from pptx.opc.constants import RELATIONSHIP_TYPE as RT
from pptx.oxml import parse_xml
from pptx.oxml.ns import qn
from pptx.util import Emu, Inches

from reclust_spark.errors import ConfigError
from reclust_spark.paths import ROOT, depth, parent
from reclust_spark.report.colours import colour_of
from reclust_spark.report.content import (
    CAUTION,
    CONDITIONAL,
    DISCOVERY,
    HIDDEN,
    Cell,
    CellKey,
    Note,
)
from reclust_spark.report.deck import check_template, write, write_deck
from reclust_spark.report.deck.clean import clean, one_line
from reclust_spark.report.deck.fit import BODY, Faces, Measured, Run, fit, say
from reclust_spark.report.deck.fonts import face_of
from reclust_spark.report.deck.plan import MOST_PAGES, plan
from reclust_spark.report.deck.words import apart, sureness, who
from reclust_spark.warehouse.names import MEAN, SHARE
from tests.reports import HOSTILE, LONG, crossed_widely, made_up, one_node

FACES = Faces(face_of("Arial"), face_of("Arial", bold=True))
OTHERS = (LONG, LONG.upper(), "prays daily", LONG[::-1])
SLACK = 1.5
"""How far a word's own box may stand out of its shape's sideways, points: bearings."""
LEADING = 0.15
"""The part of a word's box, above and below, that no letter fills: it is of all of its font's."""


def with_cluster(report, path, **changes):
    clusters = {p: replace(c, **changes) if p == path else c for p, c in report.clusters.items()}
    return replace(report, clusters=clusters)


def unexplained(report, path):
    return with_cluster(
        report, path, answers=(), swarms=(), siblings=(), certainty=None, stability=None
    )


def template_of(file, height=7.5):
    """Write a design 10 inches wide with a theme font of its own, and a slide."""
    design = Presentation()
    design.slide_height = Inches(height)
    for sheet in (design.slide_master, *design.slide_layouts):
        for shape in sheet.placeholders:
            if shape._element.spPr.xfrm is not None:
                shape.top, shape.height = (
                    round(length * height / 7.5) for length in (shape.top, shape.height)
                )
    part = design.slide_master.part.part_related_by(RT.THEME)
    part._blob = part.blob.replace(b'typeface="Calibri"', b'typeface="Georgia"')
    slide = design.slides.add_slide(design.slide_layouts[1])
    slide.shapes.title.text = "An old slide"
    design.save(file)
    return file


LONG_NOTE = "they told us so at length " * 200


def reports():
    """Return what is looked at, by name: a report, and the height of the user's design, if any."""
    narrow = crossed_widely(made_up(shape=(13,), images=True, words=("liberal", LONG)), n_by=20)
    note = Note(LONG_NOTE, "ada", narrow.made_at)
    narrow = with_cluster(unexplained(narrow, "/002/"), "/003/", notes=(note,))
    hostile = crossed_widely(
        made_up(shape=(3, 2), words=HOSTILE), n_levels=20, n_by=8, name=HOSTILE[2] + " {}"
    )
    return {
        "long": (crossed_widely(made_up(shape=(5, 7), words=OTHERS)), None),
        "hostile": (replace(hostile, title=HOSTILE[0], source=HOSTILE[2]), None),
        "narrow": (narrow, 7.5),
        "low": (made_up(shape=(4,), images=True, words=("liberal", LONG)), 5.625),
        "one": (one_node(), None),
    }


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    """Write all decks, and let LibreOffice make PDFs of them in one run."""
    folder = tmp_path_factory.mktemp("decks")
    for name, (report, height) in reports().items():
        template = height and template_of(folder / f"template-{name}.pptx", height)
        write_deck(report, folder / f"{name}.pptx", template)
    files = [str(folder / f"{name}.pptx") for name in reports()]
    subprocess.run(
        ["soffice", f"-env:UserInstallation=file://{folder}/office", "--headless",
         "--convert-to", "pdf", "--outdir", str(folder), *files],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    kept = os.environ.get("RECLUST_SCREENSHOTS")
    if kept:
        for name in reports():
            pictures(folder / f"{name}.pdf", Path(kept) / "deck" / name, 80)
    return folder


def pictures(pdf, folder, dpi, *pages):
    """Return a PDF's pages as pictures, all or a first and a last one."""
    folder.mkdir(parents=True, exist_ok=True)
    some = ["-f", str(pages[0]), "-l", str(pages[1])] if pages else []
    subprocess.run(
        ["pdftoppm", "-r", str(dpi), *some, "-png", str(pdf), str(folder / "page")], check=True
    )
    return sorted(folder.glob("page*.png"))


class Word:
    """A word of a PDF, points."""

    def __init__(self, element):
        self.text = element.text or ""
        self.left, self.top, self.right, self.bottom = (
            float(element.get(name)) for name in ("xMin", "yMin", "xMax", "yMax")
        )
        self.x, self.y = (self.left + self.right) / 2, (self.top + self.bottom) / 2


def words_of(pdf):
    """Return the words of each page of a PDF, and the page's size."""
    bbox = subprocess.run(
        ["pdftotext", "-bbox", str(pdf), "-"], check=True, capture_output=True
    ).stdout.decode("utf-8", errors="replace")
    bbox = "".join(c for c in bbox if c in "\n\t" or c >= " ")
    space = "{http://www.w3.org/1999/xhtml}"
    root = ElementTree.fromstring(bbox)
    return [
        (float(page.get("width")), float(page.get("height")),
         [Word(word) for word in page.iter(f"{space}word")])
        for page in root.iter(f"{space}page")
    ]  # fmt: skip


def texts_of(slide):
    """Yield each text of a slide with its rectangle, points, and where it stands."""
    for shape in slide.shapes:
        if shape.has_text_frame and shape.text_frame.text:
            edges = (shape.left, shape.top, shape.left + shape.width, shape.top + shape.height)
            yield shape.text_frame.text, [Emu(e).pt for e in edges], shape.name
        if shape.has_table:
            yield from cells_of(shape)


def cells_of(shape):
    top = shape.top
    for at, row in enumerate(shape.table.rows):
        left = shape.left
        for column_at, column in enumerate(shape.table.columns):
            cell = shape.table.cell(at, column_at)
            wide = sum(
                other.width
                for other in list(shape.table.columns)[column_at : column_at + cell.span_width]
            )
            if not cell.is_spanned and cell.text_frame.text:
                edges = (left, top, left + wide, top + row.height)
                yield cell.text_frame.text, [Emu(e).pt for e in edges], f"row {at}"
            left += column.width
        top += row.height


def letters(text):
    """Count the letters of a text that every font has."""
    return Counter(c for c in text if "!" <= c <= "~")


@pytest.mark.parametrize("name", ["long", "hostile", "narrow", "low", "one"])
def test_no_text_leaves_its_box_and_nothing_its_slide(decks, name):
    deck = Presentation(decks / f"{name}.pptx")
    pages = words_of(decks / f"{name}.pdf")
    assert len(pages) == len(deck.slides)
    seen = 0
    for number, (slide, (width, height, words)) in enumerate(
        zip(deck.slides, pages, strict=True), start=1
    ):
        for shape in slide.shapes:
            assert min(shape.left, shape.top) >= 0, (number, shape.name)
            assert shape.left + shape.width <= deck.slide_width + 2, (number, shape.name)
            assert shape.top + shape.height <= deck.slide_height + 2, (number, shape.name)
        for word in words:
            inside = word.left >= -SLACK and word.right <= width + SLACK
            assert inside and word.top >= -SLACK and word.bottom <= height + SLACK, word.text
        for text, (left, top, right, bottom), where in texts_of(slide):
            within = [w for w in words if left <= w.x <= right and top <= w.y <= bottom]
            shown = "".join(w.text for w in within)
            assert letters(shown) == letters(text), (number, where, text, shown)
            for w in within:
                edge = LEADING * (w.bottom - w.top)
                assert left - SLACK <= w.left and w.right <= right + SLACK, (number, where, w.text)
                assert top - edge <= w.top and w.bottom <= bottom + edge, (number, where, w.text)
            seen += 1
    assert seen > 3 * len(pages)


def test_the_long_deck_says_its_texts_in_order(decks):
    """Where all letters are Latin, the words on the page are the text itself."""
    deck = Presentation(decks / "long.pptx")
    pages = words_of(decks / "long.pdf")
    title = deck.slides[3].shapes.title
    edges = [Emu(e).pt for e in (title.left, title.top, title.width, title.height)]
    shown = " ".join(w.text for w in pages[3][2] if edges[1] <= w.y <= edges[1] + edges[3])
    assert shown == title.text_frame.text == f"1 · {OTHERS[1]}"


def test_small_letters_are_not_smaller_than_said(decks):
    least = {False: 900, True: 900}
    for name in reports():
        for slide in Presentation(decks / f"{name}.pptx").slides:
            for shape in slide.shapes:
                for run in shape._element.iter(qn("a:rPr")):
                    assert int(run.get("sz")) >= least[shape.has_table]


def count_of(pixels, colour):
    """Count the pixels of a colour, or nearly."""
    wanted = np.frombuffer(bytes.fromhex(colour[1:]), np.uint8).astype(int)
    return int((np.abs(pixels[..., :3].astype(int) - wanted).max(axis=-1) < 12).sum())


def test_charts_and_maps_are_drawn_in_the_clusters_colours(decks, tmp_path):
    slide = Presentation(decks / "long.pptx").slides[1]
    page = np.asarray(Image.open(pictures(decks / "long.pdf", tmp_path, 60, 2, 2)[0]))
    (chart,) = (shape for shape in slide.shapes if shape.has_chart)
    (map_,) = (shape for shape in slide.shapes if shape.shape_type == MSO_SHAPE_TYPE.PICTURE)
    left, top, width, height = (
        round(Emu(length).inches * 60)
        for length in (chart.left, chart.top, chart.width, chart.height)
    )
    bars = page[top : top + height, left : left + width]
    points = np.asarray(Image.open(io.BytesIO(map_.image.blob)).convert("RGBA"))
    points = points[points[..., 3] > 100]
    drawn = [count_of(bars, colour_of(f"/00{at}/")) for at in range(1, 6)]
    assert min(drawn) > 200 and drawn == sorted(drawn, reverse=True), "longer for larger shares"
    assert min(count_of(points, colour_of(f"/00{at}/")) for at in range(1, 6)) > 200


def test_every_slide_has_a_title_and_every_picture_and_chart_is_described(decks):
    for name in reports():
        deck = Presentation(decks / f"{name}.pptx")
        titles = [slide.shapes.title.text_frame.text for slide in deck.slides]
        assert all(titles)
        if name == "long":
            assert len(set(titles)) == len(titles)
        for slide in deck.slides:
            for shape in slide.shapes:
                if shape.has_chart or shape.has_table or shape.shape_type == MSO_SHAPE_TYPE.PICTURE:
                    properties = next(shape._element.iter(qn("p:cNvPr")))
                    assert len(properties.get("descr")) > 10, (name, shape.name)


def chart_of(slide, at=0):
    return [shape.chart for shape in slide.shapes if shape.has_chart][at]


def slide_of(deck, title):
    """Return the slide of a title, or the one slide whose title begins so."""
    titles = {slide.shapes.title.text_frame.text: slide for slide in deck.slides}
    if title in titles:
        return titles[title]
    (found,) = (slide for text, slide in titles.items() if text.startswith(title))
    return found


def said(slide):
    return " ".join(text for text, *_ in texts_of(slide))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    report = made_up(images=True)
    file = tmp_path_factory.mktemp("plain") / "deck.pptx"
    write_deck(report, file)
    return report, file, Presentation(file)


def test_native_charts_have_the_reports_figures(plain):
    report, _, deck = plain
    shares = [c.share for c in report.children(ROOT)]
    (series,) = chart_of(deck.slides[1]).plots[0].series
    assert list(series.values) == pytest.approx([*shares, 1 - sum(shares)])
    (series,) = chart_of(slide_of(deck, "The largest cluster")).plots[0].series
    leaves = sorted((c.share for c in report.leaves()), reverse=True)
    assert list(series.values)[:-1] == pytest.approx(leaves)


def test_outside_charts_have_values_and_intervals(plain):
    report, _, deck = plain
    vote, crossed, age = report.outside
    slide = slide_of(deck, vote.text)
    paths = [ROOT, "/001/", "/002/", "/003/"]
    for at, level in enumerate(vote.levels):
        cells = [vote.cells[CellKey(path, "", level, SHARE)] for path in paths]
        chart = chart_of(slide, at)
        (series,) = chart.plots[0].series
        assert list(series.values) == pytest.approx([one.value for one in cells])
        bars = series._element.find(qn("c:errBars"))
        plus = [float(v.text) for v in bars.find(qn("c:plus")).iter(qn("c:v"))]
        assert plus == pytest.approx([one.high - one.value for one in cells])
        sheet = openpyxl.load_workbook(io.BytesIO(chart.part.chart_workbook.xlsx_part.blob)).active
        assert [c.value for c in sheet["B"]][1:] == pytest.approx([one.value for one in cells])
        assert [c.value for c in sheet["C"]][1:] == pytest.approx(plus)
    dots = list(chart_of(slide_of(deck, age.text)).plots[0].series)
    one = age.cells[CellKey("/002/", "", "", MEAN)]
    assert list(dots[2].iter_values()) == [3, 3, 3]
    xs = [float(v.text) for v in dots[2]._element.find(qn("c:xVal")).iter(qn("c:v"))]
    assert xs == pytest.approx([one.low, one.value, one.high])
    assert crossed.by_text in slide_of(deck, f"{crossed.text} · by").shapes.title.text_frame.text


def test_suppressed_cells_are_gaps_and_said(plain):
    report, _, deck = plain
    crossed = report.outside[1]
    hidden = [key for key, one in crossed.cells.items() if one.suppressed and depth(key.path) < 2]
    assert hidden
    slide = slide_of(deck, f"{crossed.text} · by")
    paths = [ROOT, *(c.path for c in report.children(ROOT))]
    for at, level in enumerate(crossed.levels):
        gaps = {
            (path, by)
            for path, series in zip(paths, chart_of(slide, at).plots[0].series, strict=True)
            for by, value in zip(crossed.by_levels, series.values, strict=True)
            if value is None
        }
        assert gaps == {(key.path, key.by_level) for key in hidden if key.level == level}
    words = said(slide)
    assert "few people" in words
    crosses = [s for s in slide.shapes if s.name.startswith("Multiply")]
    assert len(crosses) == len(hidden)
    level = report.outside[0].levels[0]
    key = CellKey("/002/", "", level, SHARE)
    cells = {**report.outside[0].cells, key: crossed.cells[hidden[0]]}
    again = replace(report, outside=(replace(report.outside[0], cells=cells),))
    file = io.BytesIO()
    path = Path(plain[1]).with_name("suppressed.pptx")
    write_deck(again, path)
    file.write(path.read_bytes())
    slide = slide_of(Presentation(file), report.outside[0].text)
    (series,) = chart_of(slide).plots[0].series
    assert series.values[2] is None
    assert said(slide).count("few people") == 2, "in its cell, and in the note"


def test_a_clusters_page_says_who_how_sure_and_what_was_noted(plain):
    report, _, deck = plain
    cluster = report.clusters["/001/"]
    slide = slide_of(deck, f"1 · {cluster.label}")
    words = said(slide)
    for part in (f"{cluster.n:,}", "40%", "/001/", "Stability", "0.90", "0.987", "0.012", "94%"):
        assert part in words
    assert "they told us so" in words and "ada" in words
    table = next(shape.table for shape in slide.shapes if shape.has_table)
    answer = cluster.answers[0]
    row = [cell.text_frame.text for cell in table.rows[1].cells]
    assert row[:4] == [answer.question, answer.here, answer.everyone, f"× {answer.lift:.1f}"]
    images = [shape for shape in slide.shapes if shape.shape_type == MSO_SHAPE_TYPE.PICTURE]
    assert len(images) == 6, "mean, medoid, swarms and their key, and the means of two siblings"
    assert deck.slides[0].shapes.title.text_frame.text == report.title


def test_method_and_caveats_are_told(plain):
    report, _, deck = plain
    words = said(slide_of(deck, "What to keep in mind"))
    for text in (CAUTION, CONDITIONAL, DISCOVERY, HIDDEN):
        assert text in words
    weak = [c for c in report.clusters.values() if c.stability == 0.4]
    assert f"{len(weak)} of 9 were found again" in words and "95% at depth 1" in words
    assert "5.0% of everyone fit none" in words
    words = said(slide_of(deck, "How the clusters were found"))
    assert "30" in words and "umap_hdbscan" in words


def test_long_notes_go_to_the_speaker_and_the_slide_says_so(decks):
    deck = Presentation(decks / "narrow.pptx")
    slide = slide_of(deck, "3 · ")
    assert "in full in the speaker notes" in said(slide)
    assert LONG_NOTE not in said(slide)
    assert LONG_NOTE.strip() in slide.notes_slide.notes_text_frame.text
    short = slide_of(deck, "5 · ")
    assert "speaker notes" not in said(short) and "they told us so" in said(short)


def test_where_slides_are_low_a_cluster_has_two_pages(decks):
    titles = [s.shapes.title.text_frame.text for s in Presentation(decks / "low.pptx").slides]
    assert titles[3:5] == [f"1 · {LONG}", f"1 · {LONG} (continued)"]
    assert len(titles) == 3 + 2 * 4 + 1 + 3 + 3, "no caveat is cut: they have two pages as well"
    deck = Presentation(decks / "low.pptx")
    caveats = " ".join(said(slide) for slide in list(deck.slides)[-2:])
    assert all(text in caveats for text in (CAUTION, CONDITIONAL, DISCOVERY, HIDDEN))
    words = said(slide_of(deck, titles[4]))
    assert "Stability" in words and "Apart from its siblings" in words and "they told us" in words


def test_no_outside_figure_is_cut(decks):
    for name in ("long", "narrow", "low"):
        deck = Presentation(decks / f"{name}.pptx")
        for outside in (o for o in reports()[name][0].outside[:3:2] if not o.by_question):
            slide = slide_of(deck, outside.text)
            table = next(shape.table for shape in slide.shapes if shape.has_table)
            for row in list(table.rows)[1:]:
                figures = [cell.text_frame.text for cell in row.cells][1:]
                assert any(figures) and not any("…" in figure for figure in figures)


def test_an_unexplained_cluster_says_that_it_is_unknown(decks):
    words = said(slide_of(Presentation(decks / "narrow.pptx"), "2 · "))
    assert "has not been explained" in words
    assert words.count("unknown") >= 4


def test_a_template_is_kept_and_its_slides_are_not(decks):
    deck, template = (
        Presentation(decks / f"{name}.pptx") for name in ("narrow", "template-narrow")
    )
    assert (deck.slide_width, deck.slide_height) == (Inches(10), Inches(7.5))
    assert len(deck.slide_layouts) == len(template.slide_layouts)
    themes = [d.slide_master.part.part_related_by(RT.THEME).blob for d in (deck, template)]
    assert themes[0] == themes[1] and b"Georgia" in themes[0]
    with zipfile.ZipFile(decks / "narrow.pptx") as package:
        slides = [n for n in package.namelist() if n.startswith("ppt/slides/slide")]
        assert len(slides) == len(deck.slides)
        for name in slides:
            text = package.read(name)
            assert b"An old slide" not in text
            assert b"<a:latin" not in text, "a font of its own"


def test_hostile_texts_are_clean_in_all_parts(decks):
    with zipfile.ZipFile(decks / "hostile.pptx") as package:
        for name in package.namelist():
            if name.endswith(".xml"):
                ElementTree.fromstring(package.read(name))
            if name.endswith(".xlsx"):
                book = openpyxl.load_workbook(io.BytesIO(package.read(name)))
                kinds = {cell.data_type for row in book.active for cell in row}
                assert "f" not in kinds
    words = " ".join(said(slide) for slide in Presentation(decks / "hostile.pptx").slides)
    assert "שלום עולם" in words and "👩🏽‍🚀" in words and "<script>" in words
    assert "\u202e" not in words and "_x000" not in words


def test_a_right_to_left_title_is_set_from_the_right(tmp_path):
    write_deck(made_up(shape=(2,), words=("שלום עולם",), outside=False), tmp_path / "deck.pptx")
    deck = Presentation(tmp_path / "deck.pptx")
    cells = [
        cell for shape in deck.slides[3].shapes if shape.has_table
        for row in shape.table.rows for cell in row.cells if "שלום" in cell.text_frame.text
    ]  # fmt: skip
    assert cells
    assert {c.text_frame.paragraphs[0]._p.pPr.get("rtl") for c in cells} == {"1"}


def test_the_same_report_gives_the_same_bytes(plain, tmp_path):
    report, file, deck = plain
    write_deck(report, tmp_path / "again.pptx")
    assert (tmp_path / "again.pptx").read_bytes() == file.read_bytes()
    assert deck.core_properties.created == report.made_at.replace(tzinfo=None)
    with zipfile.ZipFile(file) as package:
        assert {entry.date_time for entry in package.infolist()} == {(2024, 5, 17, 12, 30, 0)}


# ---- which clusters have a page


def test_depth_one_has_pages_and_deeper_ones_the_largest():
    report = made_up(shape=(6, 6, 5))
    pages = plan(report)
    shown = [c.path for c in pages.shown]
    assert shown == sorted(shown)
    assert {c.path for c in report.children(ROOT)} <= set(shown)
    assert len(shown) + 7 + len(report.outside) == MOST_PAGES
    assert len(shown) + len(pages.left) == len(report.clusters) - 1
    assert all(parent(path) == ROOT or parent(path) in shown for path in shown)
    deeper = [c.share for c in pages.shown if depth(c.path) > 1]
    assert min(deeper) >= max(c.share for c in pages.left)


def test_all_of_depth_one_have_pages_however_many():
    report = made_up(shape=(70,), outside=False)
    assert len(plan(report).shown) == 70


def test_those_without_a_page_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(write, "plan", lambda report, each: plan(report, each, most=10))
    write_deck(made_up(shape=(2, 2), outside=False), tmp_path / "deck.pptx")
    deck = Presentation(tmp_path / "deck.pptx")
    assert len(deck.slides) == 10
    words = said(slide_of(deck, "3 smaller clusters have no page here"))
    assert "explorer.html" in words
    for path in ("1.2", "2.1", "2.2"):
        assert path in words


# ---- sentences


def test_who_names_the_leading_answers():
    (paragraph,) = who(made_up().clusters["/002/"])
    assert paragraph.text == (
        "They answer liberal to “liberal (question 0)” (3.2 times as often as everyone), prays "
        "daily to “prays daily (question 1)” (2.9 times), and reads the news to “reads the news "
        "(question 2)” (2.6 times)."
    )


def test_a_bare_number_says_where_it_lies():
    cluster = made_up().clusters["/002/"]
    answer = cluster.answers[0]._replace(here="45 years", direction="higher", lift=None)
    (paragraph,) = who(replace(cluster, answers=(answer,)))
    assert paragraph.text == "They answer 45 years (higher) to “liberal (question 0)”."


def test_unknown_is_said_to_be_unknown():
    report = unexplained(made_up(), "/001/")
    known = dict(sureness(report.clusters["/001/"]))
    assert known["Stability"] == known["AUC"] == known["Calibration error"] == "unknown"
    assert dict(sureness(report.clusters["/001/001/"]))["Fidelity (split)"] == "not split"
    words = " ".join(p.text for p in apart(report, report.clusters["/001/"]))
    assert "What sets it apart is unknown" in words


def test_apart_names_what_no_sibling_shares():
    report = made_up()
    cluster = report.clusters["/002/"]
    first = cluster.answers[0]._replace(here="never heard of", direction="lower")
    report = with_cluster(report, "/002/", answers=(first, *cluster.answers[1:]))
    own, placed = (p.text for p in apart(report, report.clusters["/002/"]))
    assert own == "No sibling is known to share never heard of on “liberal (question 0)”."
    assert placed.startswith("Models place 93% of its people here, 4.0% in none of them, 1.0% in 1")


def test_numbers_are_compared_by_where_they_lie_and_pixels_by_brightness():
    report = made_up(shape=(2,))
    answers = [a._replace(here=f"{i}.5", direction="higher") for i, a in enumerate(
        report.clusters["/001/"].answers)]  # fmt: skip
    for path, direction in (("/001/", "higher"), ("/002/", "lower")):
        turned = tuple(a._replace(here=f"1{a.here}", direction=direction) for a in answers)
        report = with_cluster(report, path, answers=turned)
    assert "share 10.5 (higher)" in apart(report, report.clusters["/001/"])[0].text
    report = with_cluster(report, "/002/", answers=tuple(answers))
    assert "the mixture sets it apart" in apart(report, report.clusters["/001/"])[0].text
    seen = replace(report.clusters["/001/"], picture=made_up(images=True).root.picture)
    assert "Brighter than in everyone at liberal (question 0)" in who(seen)[0].text


def test_outside_questions_without_answers_or_with_all_hidden(tmp_path):
    report = made_up(shape=(3,))
    vote, crossed, age = report.outside
    hidden = Cell(*[None] * 8, True)
    below = {
        key: one._replace(value=one.value - 80, low=one.low - 80, high=one.high - 80)
        for key, one in age.cells.items()
    }
    by = {key._replace(by_level="Utah"): one for key, one in below.items()}
    outside = (
        replace(vote, text="none at all", levels=(), cells={}),
        replace(vote, text="all hidden", cells=dict.fromkeys(vote.cells, hidden)),
        replace(crossed, text="crossed, all hidden", cells=dict.fromkeys(crossed.cells, hidden)),
        replace(age, text="below zero", cells=below),
        replace(age, text="crossed", by_question="s", by_levels=("Utah",), cells=by),
    )
    write_deck(replace(report, outside=outside), tmp_path / "deck.pptx")
    deck = Presentation(tmp_path / "deck.pptx")
    assert "Nobody has answered" in said(slide_of(deck, "none at all"))
    slide = slide_of(deck, "all hidden")
    assert said(slide).count("few people") == 4 * 3 + 1
    assert not any(shape.has_chart for shape in slide.shapes)
    assert "not shown, few people" in said(slide_of(deck, "crossed, all hidden"))
    key = CellKey("/001/", "", "", MEAN)
    assert f"{below[key].value:.3g}" in said(slide_of(deck, "below zero"))
    series = chart_of(slide_of(deck, "crossed · by s")).plots[0].series
    assert series[1].values[0] == pytest.approx(below[key].value) and series[1].values[0] < 0


# ---- texts that fit

words = st.text(st.sampled_from("abc W.,!()שם🎉\n"), max_size=300)


@settings(max_examples=150, deadline=None)
@given(st.lists(words, min_size=1, max_size=4), st.floats(0.4, 6), st.floats(0.3, 3))
def test_what_is_fitted_fits(texts, width, height):
    paragraphs = [say(Run(text, bold=at % 2 == 1)) for at, text in enumerate(texts)]
    fitted = fit(paragraphs, width, height, FACES, 16)
    assert BODY <= fitted.size <= 16
    assert fitted.height <= max(height, 1.5 * BODY / 72) + 1e-9
    wanted = [one_line(text) for text in texts]
    if fitted.is_cut:
        assert fitted.size == BODY
        assert fitted.paragraphs[-1].text.endswith("…")
        assert len(fitted.paragraphs) <= len(texts)
    else:
        assert [p.text for p in fitted.paragraphs] == wanted


@settings(max_examples=150, deadline=None)
@given(words, st.floats(2, 40))
def test_lines_are_no_wider_than_their_box(text, width):
    measured = Measured(say(text), FACES)
    ends = measured.line_ends(width)
    assert ends[-1] == len(measured.text)
    assert ends == sorted(ends)
    for start, end in zip([0, *ends], ends, strict=False):
        line = measured.text[start:end].rstrip(" ")
        assert len(line) <= 1 or FACES.plain.advances(line).sum() <= width + 1e-6


def test_a_cut_is_at_a_word_and_letters_are_as_wide_as_their_font_says():
    fitted = fit([say("many words that " * 50)], 2, 0.5, FACES, 12)
    (paragraph,) = fitted.paragraphs
    assert fitted.is_cut
    assert paragraph.text.removesuffix("…").split()[-1] in ("many", "words", "that")
    if FACES.plain.file.endswith("LiberationSans-Regular.ttf"):  # Arial's metrics
        assert FACES.plain.advances("Wi").tolist() == pytest.approx([0.9438, 0.2222], abs=1e-3)


def test_clean_removes_only_what_xml_refuses_or_what_turns_all_that_follows():
    assert clean("a\x00b\x0bc\ufffe\ud800d\u202ee") == "abcde"
    kept = "tab\tline\nשלום 👩🏽‍🚀 <b> ﷺ"
    assert clean(kept) == kept


# ---- templates that cannot be used


def without_titles(file):
    design = Presentation()
    for layout in design.slide_layouts:
        for shape in list(layout.placeholders):
            if shape.placeholder_format.type in (PP_PLACEHOLDER.TITLE, PP_PLACEHOLDER.CENTER_TITLE):
                shape._element.getparent().remove(shape._element)
    design.save(file)


def of_another_kind(file):
    Presentation().save(file)
    main = "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"
    macro = "application/vnd.ms-powerpoint.presentation.macroEnabled.main+xml"
    with zipfile.ZipFile(file) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    with zipfile.ZipFile(file, "w") as package:
        for name, content in parts.items():
            package.writestr(name, content.replace(main.encode(), macro.encode()))


def small(file):
    design = Presentation()
    design.slide_width = design.slide_height = Inches(2)
    for shape in list(design.slide_master.placeholders):
        if shape.placeholder_format.type == PP_PLACEHOLDER.BODY:
            shape._element.getparent().remove(shape._element)
    design.save(file)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda file: None, "no such file"),
        (lambda file: file.write_text("no slides"), "cannot be opened"),
        (lambda file: openpyxl.Workbook().save(file), "cannot be opened"),
        (lambda file: file.write_bytes(b"PK\x03\x04" + bytes(100)), "cannot be opened"),
        (without_titles, "title"),
        (of_another_kind, "another kind"),
        (small, "inches remain"),
    ],
)
def test_a_template_that_cannot_be_used_is_told(tmp_path, make, found):
    file = tmp_path / "design.pptx"
    make(file)
    with pytest.raises(ConfigError) as error:
        check_template(file)
    assert str(file) in error.value.where and found in error.value.found
    assert error.value.allowed and error.value.remedy
    with pytest.raises(ConfigError):
        write_deck(one_node(), tmp_path / "deck.pptx", file)
    assert not (tmp_path / "deck.pptx").exists()


def test_a_design_with_its_title_below_has_its_content_above(tmp_path):
    design = Presentation()
    for shape in list(design.slide_master.placeholders):
        if shape.placeholder_format.type == PP_PLACEHOLDER.TITLE:
            shape.top, shape.height = Inches(6), Inches(0.8)
        if shape.placeholder_format.type == PP_PLACEHOLDER.BODY:
            shape._element.getparent().remove(shape._element)
    design.save(tmp_path / "design.pptx")
    write_deck(made_up(shape=(2,)), tmp_path / "deck.pptx", tmp_path / "design.pptx")
    for slide in list(Presentation(tmp_path / "deck.pptx").slides)[1:]:
        for shape in slide.shapes:
            if not shape.is_placeholder:
                assert shape.top + shape.height <= Inches(6)


def test_sections_and_shows_of_a_templates_slides_are_left_out(tmp_path):
    file = template_of(tmp_path / "design.pptx")
    design = Presentation(file)
    identity = design.slides._sldIdLst[0].get("id")
    space = "http://schemas.microsoft.com/office/powerpoint/2010/main"
    extension = parse_xml(
        f'<p:extLst xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main"><p:ext '
        f'uri="{{521415D9-36F7-43E2-AB2F-B90AF26B5E84}}"><p14:sectionLst xmlns:p14="{space}">'
        f'<p14:section name="Old" id="{{A}}"><p14:sldIdLst><p14:sldId id="{identity}"/>'
        "</p14:sldIdLst></p14:section></p14:sectionLst></p:ext></p:extLst>"
    )
    old = design.part._element.find(qn("p:extLst"))
    if old is not None:
        design.part._element.remove(old)
    design.part._element.append(extension)
    design.save(file)
    write_deck(one_node(), tmp_path / "deck.pptx", file)
    with zipfile.ZipFile(tmp_path / "deck.pptx") as package:
        assert b"sectionLst" not in package.read("ppt/presentation.xml")
