from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.bench.made import PAIR, leg, record
from vllama.bench.chart import panels, picture, ticks
from vllama.bench.figures import table_of
from vllama.bench.marks import Picture, Polyline, Words
from vllama.bench.page import page
from vllama.bench.samples import Leg, Sample
from vllama.bench.svg import svg

_VOID = {"meta", "br", "img"}


@given(st.floats(1e-6, 1e9))
def test_ticks_are_even_and_hold_the_largest_value(largest):
    found = ticks(largest)
    steps = {round((after - before) / found[1], 6) for before, after in itertools.pairwise(found)}
    assert found[0] == 0
    assert found[-1] >= largest * (1 - 1e-6)
    assert steps == {1}
    assert 3 <= len(found) <= 7


def test_nothing_has_ticks_too():
    assert ticks(0) == (0, 1)
    assert ticks(float("nan")) == (0, 1)


def test_each_figure_has_a_panel_with_a_curve_for_each_target():
    found = panels(table_of(PAIR))
    assert [len(panel.curves) for panel in found] == [2, 2, 2, 2]
    assert found[0].curves[0].clients == (1, 4)


def test_what_was_not_measured_is_not_drawn():
    whole = Leg("v", 1, 1.0, (Sample(1.0, tokens_out=3),))
    assert [panel.title.split(",")[0] for panel in panels(table_of([whole]))] == ["tokens/s", "requests/s"]


def test_every_mark_lies_on_the_picture():
    made = picture(table_of(PAIR))
    places = [point for mark in made.marks if isinstance(mark, Polyline) for point in mark.points]
    assert places
    assert all(0 <= x <= made.width and 0 <= y <= made.height for x, y in places)


def test_svg_is_xml_and_says_what_is_drawn():
    tree = ET.fromstring(svg(picture(table_of(PAIR))))
    words = {element.text for element in tree.iter() if element.tag.endswith("text")}
    assert {"ours", "theirs", "requests/s", "1", "4"} <= words


def test_words_can_not_break_out_of_the_svg():
    tree = ET.fromstring(svg(Picture(10, 10, (Words((1, 1), "<script>&"),))))
    assert [element.text for element in tree if element.tag.endswith("text")] == ["<script>&"]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        assert not any(name in {"src", "href"} for name, _ in attrs), "the page needs something else"
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_stands_alone_and_says_where_it_comes_from():
    made = record(*PAIR, unlike=("ours and theirs: bits BF16 and Q4_K_M",))
    reader = _Reader()
    reader.feed(page(made))
    reader.close()
    assert reader.open == []
    for text in ("vllama bench --prompt 'a <b>'", "Some CPU", "2 cores", "Ollama 0.33.0", "bits BF16 and Q4_K_M"):
        assert text in reader.text
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page(made))


@pytest.mark.parametrize("streamed", [True, False])
def test_a_page_can_be_made_of_a_single_leg(streamed):
    one = leg("v", 0.1) if streamed else Leg("v", 1, 1.0, (Sample(1.0, tokens_out=3),))
    assert "</html>" in page(record(one))
