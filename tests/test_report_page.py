"""The report's page in a real browser: wide, narrow, dark, printed; loaded from nowhere else."""

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from components.report import render

pytestmark = pytest.mark.slow

WIDTHS = (400, 1400)

OpenPage = Callable[..., contextlib.AbstractContextManager[Page]]


@pytest.fixture(scope="module")
def url(whole_report: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("report")
    render.write(whole_report, folder)
    return (folder / "index.html").as_uri()


@pytest.fixture
def open_page(browser: Browser) -> OpenPage:
    """`with open_page(url, **looks) as page:` asserts no other request and an empty console."""

    @contextlib.contextmanager
    def open_one(address: str, **looks: Any) -> Iterator[Page]:
        faults: list[str] = []
        with contextlib.closing(browser.new_context(**looks)) as context:
            context.set_default_timeout(5_000)
            page = context.new_page()
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("console", lambda message: faults.append(message.text))
            page.on(
                "request",
                lambda request: (
                    None
                    if request.url.startswith("data:") or request.url == address
                    else faults.append(request.url)
                ),
            )
            page.goto(address)
            yield page
        assert faults == []

    return open_one


def viewport(width: int) -> dict[str, Any]:
    return {"viewport": {"width": width, "height": 900}}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_window_and_loads_nothing(
    open_page: OpenPage, url: str, width: int, scheme: str
) -> None:
    with open_page(url, color_scheme=scheme, **viewport(width)) as page:
        expect(page.get_by_role("heading", level=1)).to_have_text("sequential won")
        expect(page.get_by_role("heading", level=2)).to_have_count(13)
        for summary in page.locator("summary").all():
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        broken = "[...document.images].filter((image) => !image.naturalWidth).length"
        assert page.evaluate("document.images.length") == 24
        assert page.evaluate(broken) == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_text_in_charts_can_be_read(open_page: OpenPage, url: str, width: int) -> None:
    heights = "[...document.querySelectorAll('svg text')].map((t) => t.getBoundingClientRect())"
    with open_page(url, **viewport(width)) as page:
        least = page.evaluate(f"Math.min(...{heights}.map((r) => Math.min(r.width, r.height)))")
        assert page.locator("svg text").count() > 100
        assert least >= 5  # a digit's width; its height is about twice that
        assert (
            page.evaluate(f"Math.min(...{heights}.map((r) => Math.max(r.width, r.height)))") >= 10
        )


def test_no_text_of_a_chart_leaves_it(open_page: OpenPage, url: str) -> None:
    outside = """
    [...document.querySelectorAll('svg text')].filter((text) => {
      const own = text.getBoundingClientRect(), box = text.closest('svg').getBoundingClientRect();
      return own.left < box.left - 1 || own.right > box.right + 1
        || own.top < box.top - 1 || own.bottom > box.bottom + 1;
    }).map((text) => text.textContent)
    """
    with open_page(url, **viewport(400)) as page:
        assert page.evaluate(outside) == []


def test_dark_and_light_follow_the_system(open_page: OpenPage, url: str) -> None:
    colours = []
    for scheme in ("light", "dark"):
        with open_page(url, color_scheme=scheme) as page:
            colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(255, 255, 255)", "rgb(18, 21, 27)"]


def test_on_paper_folded_tables_are_open_and_nothing_is_dark(open_page: OpenPage, url: str) -> None:
    with open_page(url, color_scheme="dark") as page:
        folded = page.get_by_role("table", name="All nodes")
        expect(folded).not_to_be_visible()
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == (
            "rgb(255, 255, 255)"
        )
        pages = page.pdf(format="A4").count(b"/Type /Page\n")
    assert 4 <= pages <= 16


def test_charts_tables_and_pictures_have_names_for_a_screen_reader(
    open_page: OpenPage, url: str
) -> None:
    with open_page(url, **viewport(1400)) as page:
        chart = page.get_by_role("img", name="Accuracy by epoch")
        expect(chart).to_have_accessible_name(re.compile("broken lines: train"))
        expect(page.get_by_role("table", name="The models of this run")).to_be_visible()
        expect(page.get_by_role("img", name=re.compile(r"\d taken for \d"))).to_have_count(24)
        expect(page.get_by_role("region", name="Where the time went")).to_be_visible()
        page.get_by_role("link", name="Accuracy by digit").click()
        expect(page.get_by_role("heading", name="Accuracy by digit")).to_be_in_viewport()


def test_an_empty_report_says_what_is_missing(open_page: OpenPage, tmp_path: Path) -> None:
    render.write({"missing": ["everything"]}, tmp_path)
    with open_page((tmp_path / "index.html").as_uri(), **viewport(400)) as page:
        missing = page.get_by_role("complementary", name="What is missing")
        expect(missing).to_contain_text("everything")
        assert page.evaluate("document.documentElement.scrollWidth") == 400
