"""The three forms of a report: the same content, exact figures, and no text that becomes more than text."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest
from analytics.app.recorded import append
from analytics.incidents.cases import APP, COSTS, EVIL, FINGERPRINT, NOON, alerted, filled, noted, reported
from analytics.services import home_at
from markdown_it import MarkdownIt

from tachograph_analytics.incidents.export import FORMS, file_name
from tachograph_analytics.incidents.foreign import in_markdown, printable
from tachograph_analytics.store.casebook import Casebook, View
from tachograph_analytics.store.query import as_json, query

HARMLESS = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "pre", "code", "section"} | {
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "dl", "dt", "dd", "a")
}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    home = filled(tmp_path_factory.mktemp("incident"))
    noted(home, "Its prompt grew.\nTokens show it.")
    Casebook(home).write(FINGERPRINT, "cause", "Release 2.8")
    Casebook(home).write(FINGERPRINT, "fix", "Rolled back")
    return reported(home)


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    """All texts that anybody can choose are evil."""
    home = home_at(tmp_path_factory.mktemp("evil"))
    append(home, alerted("firing", NOON, summary="\n".join(EVIL), description=EVIL[3], investigate_url=EVIL[2]))
    casebook = Casebook(home)
    for field in ("title", "cause", "fix"):
        casebook.write(FINGERPRINT, field, "\n".join(EVIL))
    rows = tuple((text, text) for text in EVIL)
    for text in EVIL:
        casebook.add(FINGERPRINT, View(text, text, text, (text, f"{text} "), rows), NOON, text)
    return reported(home)


class Page(HTMLParser):
    """What a browser would make of a page: its tags with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def lines(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def cells(text):
    return "\n".join(cell for line in csv.reader(io.StringIO(text, newline="")) for cell in line)


def plain_text(markdown):
    """The text of a rendered Markdown."""
    return Page(rendered(markdown)).text.replace("\u2060", "")


def rendered(markdown):
    return MarkdownIt("commonmark").enable("table").render(markdown)


# -- the same content, and exact


@pytest.mark.parametrize("form", FORMS)
def test_every_form_says_everything(report, form):
    written = FORMS[form].write(report)
    text = {"markdown": plain_text, "html": lambda page: Page(page).text, "csv": cells}[form](written)
    for words in (
        *report.facts.values(),
        *report.conclusions.values(),
        *report.links.values(),
        *(moment.what for moment in report.moments),
        *("Its prompt grew.", "Tokens show it.", "Release 2.8 costs most", "0.300000000013"),
        COSTS,
    ):
        assert words in text
    assert f"{APP}/spike?agent=support" in written.replace("&amp;", "&")
    assert report.command(report.notes[0]) in text


def test_the_tables_of_markdown_and_html_hold_the_figures_of_query(report):
    expected = json.loads(as_json(query(report.home, COSTS)))
    for page in (rendered(FORMS["markdown"].write(report)), FORMS["html"].write(report)):
        table = re.split("cost(?:</code>)?</th>", page)[1].partition("<tbody>")[2].partition("</tbody>")[0]
        found = [re.findall(r"<td[^>]*>(?:<code>)?(.*?)(?:</code>)?</td>", row) for row in table.split("</tr>")[:-1]]
        assert found == [[v if isinstance(v, str) else json.dumps(v) for v in row.values()] for row in expected]


def test_the_rows_of_csv_are_the_rows_of_query(report):
    rows = [line for line in lines(FORMS["csv"].write(report)) if line["kind"] == "row"]
    expected = json.loads(as_json(query(report.home, COSTS)))
    assert [
        (line["note"], line["row"], line["release"], float(line["cost"]), int(line["input_tokens"])) for line in rows
    ] == [
        ("1", str(number), row["release"], row["cost"], row["input_tokens"]) for number, row in enumerate(expected, 1)
    ]


def test_notes_with_different_columns_share_one_csv(tmp_path):
    home = filled(tmp_path)
    casebook = Casebook(home)
    casebook.add(FINGERPRINT, View("a", "/", "", ("model", "cost"), (("m", 0.5),)), NOON)
    casebook.add(FINGERPRINT, View("b", "/", "", ("text", "cost"), (("t", None),)), NOON)
    written = lines(FORMS["csv"].write(reported(home)))
    assert list(written[0])[-3:] == ["model", "cost", "rows.text"]
    rows = [(r["note"], r["model"], r["cost"], r["rows.text"]) for r in written if r["kind"] == "row"]
    assert rows == [("1", "m", "0.5", ""), ("2", "", "", "t")]


def test_rows_that_were_not_kept_are_counted(tmp_path):
    home = filled(tmp_path)
    Casebook(home).add(FINGERPRINT, View("a", "/", "", ("n",), tuple((n,) for n in range(517))), NOON)
    for form in ("markdown", "html"):
        assert "17 more rows were seen and not kept; the SQL gives all." in FORMS[form].write(reported(home))


def test_without_notes_a_report_says_so(tmp_path):
    report = reported(filled(tmp_path))
    assert "## Notes\n\nNone.\n" in FORMS["markdown"].write(report)
    assert "<h2>Notes</h2>\n<p>None.</p>" in FORMS["html"].write(report)


# -- nothing becomes more than text


def test_html_has_our_tags_only_and_asks_nobody_for_anything(evil):
    page = Page(FORMS["html"].write(evil))
    assert {tag for tag, _ in page.tags} <= HARMLESS
    attributes = {name for _, found in page.tags for name in found}
    assert attributes <= {"lang", "charset", "name", "content", "http-equiv", "class", "scope", "href", "rel"}
    assert [found["href"] for tag, found in page.tags if tag == "a"] == []
    for text in EVIL:
        assert printable(text) in page.text


def test_links_of_a_report_lead_to_the_app_and_to_the_web_only(report):
    page = Page(FORMS["html"].write(report))
    assert [found["href"] for tag, found in page.tags if tag == "a"] == [
        "https://runbooks.example/cost",
        f"{APP}/spike?alert=x",
        f"{APP}/spike?agent=support",
    ]


def test_markdown_has_our_structure_only(evil):
    tokens = MarkdownIt("commonmark").enable("table").parse(FORMS["markdown"].write(evil))
    inline = [child for token in tokens for child in token.children or ()]
    kinds = {token.type for token in (*tokens, *inline)}
    assert kinds.isdisjoint(
        {"html_block", "html_inline", "image", "link_open", "em_open", "s_open", "ordered_list_open"}
    )
    assert kinds.isdisjoint({"code_block", "hr"})
    headings = [token for token in tokens if token.type == "heading_open"]
    assert len(headings) == len(("title", "cause", "fix", "timeline", "notes", *EVIL))
    fences = [token.content for token in tokens if token.type == "fence"]
    assert fences[::2] == [f"{printable(text)}\n" for text in EVIL]
    strong = sum(token.type == "strong_open" for token in inline)
    assert strong == len(evil.facts) + len(evil.links)
    rows = sum(token.type == "tr_open" for token in tokens)
    assert rows == len(EVIL) * (len(EVIL) + 1) + len(evil.moments) + 1


def test_markdown_shows_what_stood_there(evil):
    text = " ".join(plain_text(FORMS["markdown"].write(evil)).split())
    for foreign in EVIL:
        assert " ".join(printable(foreign).split()) in text


def test_markdown_breaks_what_github_would_make_a_link_or_a_mention_of(evil):
    tokens = MarkdownIt("commonmark").enable("table").parse(FORMS["markdown"].write(evil))
    prose = [child.content for token in tokens for child in token.children or () if child.type == "text"]
    found = [text for text in prose if "evil.example" in text]
    assert found != []
    assert [text for text in prose if re.search(r"https?://|www\.evil|\w@evil|(?<!\u2060)@SUM", text)] == []


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-11-24 12:00:00 UTC", "2026-11-24 12:00:00 UTC"),
        ("13:07 it began", "13:07 it began"),
        ("17+4=21 #3", "17+4=21 #3"),
        ("1. first", "1\\. first"),
        ("13) last", "13\\) last"),
        ("- item", "\\- item"),
        ("# heading", "\\# heading"),
        ("=== ", "\\==="),
        ("3.5 % of runs", "3\\.5 % of runs"),
    ],
)
def test_markdown_escapes_what_begins_a_line_only_where_it_would_mean_something(text, written):
    assert in_markdown(text) == written
    assert plain_text(in_markdown(text)).strip() == text.strip()


def test_no_cell_of_csv_is_a_formula(evil):
    written = FORMS["csv"].write(evil)
    cells = [cell for line in csv.reader(io.StringIO(written, newline="")) for cell in line]
    assert [cell for cell in cells if cell.lstrip()[:1] in tuple("=+-@")] == []
    assert '\'=HYPERLINK("https://evil.example")' in cells
    assert "'\t-2+3" in cells


def test_a_number_below_zero_stays_a_number_in_csv(tmp_path):
    home = filled(tmp_path)
    Casebook(home).add(FINGERPRINT, View("a", "/", "", ("n", "t"), ((-1.5, "-1.5"),)), NOON)
    (row,) = [line for line in lines(FORMS["csv"].write(reported(home))) if line["kind"] == "row"]
    assert (row["n"], row["t"]) == ("-1.5", "'-1.5")


def test_a_link_that_is_none_of_the_apps_is_shown_and_not_linked(tmp_path):
    home = filled(tmp_path)
    for url in ("//evil.example", "https://evil.example", "javascript:alert(1)", "/run?run=a)b", "/run\\x"):
        Casebook(home).add(FINGERPRINT, View("a", url, "", (), ()), NOON)
    report = reported(home)
    assert [report.address(note) for note in report.notes] == [None] * 5
    assert Page(FORMS["html"].write(report)).text.count("//evil.example") == 2


def test_a_file_is_named_by_the_incident_and_stays_in_its_folder():
    assert file_name("abc123", FORMS["html"]) == "incident-abc123.html"
    assert file_name("../../etc/passwd", FORMS["csv"]) == "incident--etc-passwd.csv"
