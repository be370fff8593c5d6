"""The report as one HTML file: complete, closed, and true to what was found."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser

import pytest

from gradlint.protocol.span import Span
from gradlint.report import FileReport, PicturedLayer, Report
from gradlint.reporters import html
from gradlint.reporters.html.data import embedded
from gradlint.reporters.html.lanes import rows_of
from gradlint.reporters.html.markup import Markup, element
from gradlint.reporters.html.scale import shade
from gradlint.reporters.html.source import shown_lines, source
from gradlint.reporters.presentation import Style
from tests.reporters import reports


class Page(HTMLParser):
    """The ids, links and texts of a page; raises where elements are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "input"):
            self._open.append(tag)
        given = dict(attrs)
        self.ids += filter(None, [given.get("id")])
        self.links += filter(None, [given.get("href")])
        assert not {"src", "onclick", "xlink:href"} & set(given)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(html.render(reports.pictured()))


def test_a_page_is_well_formed_and_loads_nothing(page: Page) -> None:
    assert all(link.startswith("#") for link in page.links)
    head, _, body = html.render(reports.pictured()).partition("<main")
    assert "default-src &#x27;none&#x27;" in head
    assert not re.search(r"url\(|@import|https?:", head + body.rpartition("</main>")[2])


def test_every_id_is_unique_and_every_link_leads_somewhere(page: Page) -> None:
    assert len(set(page.ids)) == len(page.ids)
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)


def test_it_says_what_was_found_what_ran_and_what_did_not(page: Page) -> None:
    assert "1 finding (1 error) in 1 of 1 file" in page.text
    assert "probed 1 of 2 models, seeds 0 to 2, torch 2.13.0" in page.text
    assert "Wide not built: build: TypeError" in page.text


def test_a_finding_stands_below_its_line_with_its_proof() -> None:
    rendered = html.render(reports.pictured())
    line, card = rendered.index('id="file-1-L10"'), rendered.index('id="finding-1"')
    assert line < card < rendered.index('id="file-1-L11"')
    assert "-9.41, -9.39, -9.44 decades" in rendered
    assert "2,600,000,000 times weaker" in rendered
    assert "use &lt;norms&gt; &amp; skips" in rendered


def test_text_from_outside_is_escaped() -> None:
    nasty = "</script><script>alert(1)</script><b>&amp;"
    found = reports.finding(message=nasty, layer=nasty, model=nasty)
    rendered = html.render(reports.report(found))
    assert "alert(1)" in rendered
    assert "<script>alert" not in rendered
    Page(rendered)


def test_what_is_hidden_is_counted_and_shown_where_it_is_wanted() -> None:
    assert "Not shown here: 1 suppressed, 1 inconclusive" in html.render(reports.report())
    everything = html.render(reports.report(), Style(show_all=True))
    assert "suppressed: only 5 steps here" in everything
    assert "Not shown here" not in everything


def test_a_report_without_pictures_has_its_curves_all_the_same() -> None:
    rendered = html.render(reports.report())
    assert "Gradient along the trunk" in rendered
    assert 'class="layers"' not in rendered


def test_a_run_over_nothing_is_a_page() -> None:
    rendered = html.render(Report((), "0.1.0", "", 0, 3, 0.0))
    assert "no Python file was found there" in Page(rendered).text


def test_files_with_findings_come_first() -> None:
    clean = FileReport("clean.py", models=(reports.net(),), lines=("x = 1",))
    run = reports.pictured()
    rendered = html.render(Report((clean, *run.files), "0.1.0", "2.13", 0, 3, 1.0))
    assert rendered.index("<h2>model.py</h2>") < rendered.index("<h2>clean.py</h2>")


def test_what_an_annotated_layer_is_and_where_it_stands_is_in_its_row() -> None:
    rendered = html.render(reports.pictured())
    row = next(row for row in rendered.split("<tr") if 'title="body.0"' in row)
    assert ">Linear</td>" in row
    assert ">8×32</td>" in row
    assert 'href="#file-1-L10"' in row
    assert 'href="#finding-1"' in row


def layer(*producers: int) -> PicturedLayer:
    return PicturedLayer("x", "aten.x", "", 1, (1,), producers)


def test_a_chain_stays_in_one_lane() -> None:
    rows = rows_of([layer(), layer(0), layer(1)])
    assert [row.lane for row in rows] == [0, 0, 0]
    assert [row.goes_on for row in rows] == [True, True, False]


def test_a_skip_runs_straight_and_its_branch_beside_it() -> None:
    rows = rows_of([layer(), layer(0), layer(1), layer(2, 0), layer(3)])
    assert [row.lane for row in rows] == [0, 1, 1, 0, 0]
    assert rows[1].passing == (0,)
    assert rows[3].arriving == (0, 1)


def test_what_nobody_takes_gives_its_lane_back() -> None:
    rows = rows_of([layer(), layer(0), layer(0), layer(2)])
    assert [row.lane for row in rows] == [0, 1, 0, 0]
    assert not rows[1].goes_on


@pytest.mark.parametrize(
    ("decades", "name"),
    [
        pytest.param(0.0, "d0", id="healthy"),
        pytest.param(-2.6, "d-2", id="beyond what SGD bears"),
        pytest.param(-9.4, "d-4", id="vanished"),
        pytest.param(9.4, "d4", id="exploded"),
        pytest.param(-math.inf, "dz", id="nothing arrives"),
        pytest.param(math.inf, "d4", id="overflow"),
        pytest.param(math.nan, "dn", id="unknown"),
    ],
)
def test_decades_have_colours(decades: float, name: str) -> None:
    assert shade(decades) == name


def test_data_for_the_script_cannot_end_it() -> None:
    held = embedded({"a": ["</script>", math.nan, -math.inf, 1.23456]})
    assert held.count("</script>") == 1
    assert '["\\u003c/script>",null,"-inf",1.235]' in held


def test_an_element_escapes_text_and_keeps_markup() -> None:
    made = element("p", "a<b", Markup("<i>c</i>"), class_='"x"', hidden=True, title=None)
    assert made == '<p class="&quot;x&quot;" hidden>a&lt;b<i>c</i></p>'


def test_a_long_file_is_shown_around_its_findings() -> None:
    assert shown_lines(100, {3}) == list(range(1, 101))
    assert shown_lines(10_000, {3, 5000}) == [*range(1, 16), *range(4988, 5013)]


def test_source_that_is_not_python_is_shown_plain() -> None:
    assert "def &lt;" in source(["x = '''", "def <"], [1, 2], "f", {})


def test_code_has_its_colours() -> None:
    shown = source(['def f():  # "why"', '    return "a"'], [1, 2], "f", {})
    assert '<i class="k">def</i> f():  <i class="c"># "why"</i>' in shown
    assert '<i class="s">"a"</i>' in shown


def test_lines_of_a_notebook_count_anew_in_each_cell() -> None:
    found = reports.finding(span=Span("a.ipynb", 2, 1, cell=2), notes=())
    file = FileReport("a.ipynb", findings=(found,), lines=("a", "b", "c", "d"), cells=(0, 2))
    rendered = html.render(Report((file,), "0", "", 0, 1, 0.0))
    assert ">cell 1</div>" in rendered
    assert ">cell 2</div>" in rendered
    assert rendered.index("<code>d</code>") < rendered.index('id="finding-1"')
    assert re.findall(r'class="no">(\d+)<', rendered) == ["1", "2", "1", "2"]


def test_a_trunk_of_one_layer_has_no_curve() -> None:
    model = reports.net(trunk=reports.net().trunk[:1], layers=1)
    file = FileReport("model.py", models=(model,))
    rendered = html.render(Report((file,), "0", "", 0, 1, 0.0))
    assert "1 layer," in rendered
    assert 'class="charts"' not in rendered
