"""The draw-a-digit page in a real browser, on a real server of a model trained on real MNIST."""

import base64
import contextlib
import io
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from components import data
from serving.client.digit import to_digit

pytestmark = pytest.mark.slow

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
ROUND = np.linspace(0, 2 * np.pi, 24)
# Where strokes go, in parts of the drawing area.
STROKES = {
    0: [(0.5 + 0.2 * np.sin(at), 0.5 - 0.3 * np.cos(at)) for at in ROUND],
    1: [(0.52, 0.2), (0.5, 0.8)],
    7: [(0.28, 0.25), (0.7, 0.25), (0.45, 0.82)],
}
INVITATION = "Draw a digit from 0 to 9; the answer comes as you draw."
# Notes when each question starts and ends; `window.delay` holds the answers back.
WATCH = """
window.questions = [];
window.delay = 0;
const asked = window.fetch;
window.fetch = async (path, options) => {
  const question = { path, start: performance.now() };
  window.questions.push(question);
  try {
    const answer = await asked(path, options);
    await new Promise((done) => setTimeout(done, window.delay));
    return answer;
  } finally {
    question.end = performance.now();
  }
};
"""
# The last question was answered, and none follows.
SETTLED = "questions.every(({ end }) => performance.now() - end > 200)"

OpenPage = Callable[..., contextlib.AbstractContextManager[Page]]


def train() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns weights [784, 10] and biases [10] of a softmax regression on 4,000 images."""
    raw = data.load(data.PACKAGED)
    pixels = raw.train_images[:4_000].reshape(-1, 784).astype(np.float32) / 255
    wanted = np.eye(10, dtype=np.float32)[raw.train_labels[:4_000]]
    weights, bias = np.zeros((784, 10), np.float32), np.zeros(10, np.float32)
    for _ in range(100):
        scores = np.exp(pixels @ weights + bias)
        error = scores / scores.sum(axis=1, keepdims=True) - wanted
        weights -= 0.5 * pixels.T @ error / len(pixels)
        bias -= 0.5 * error.mean(axis=0)
    return weights, bias


@pytest.fixture(scope="module")
def trained(save_digits: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base folder with version 5 of a model that knows digits."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("trained")
    save_digits(folder / "untrained")
    model = tf.saved_model.load(str(folder / "untrained"))
    weights, bias = train()
    model.weights.assign(weights)
    model.bias.assign(bias)
    tf.saved_model.save(model, str(folder / "mnist" / "5"), signatures=dict(model.signatures))
    return folder / "mnist"


@pytest.fixture(scope="module")
def url(running_server: Any, trained: Path) -> Iterator[str]:
    with running_server("--model-name", "mnist", "--model-base-path", trained) as server:
        yield server.url


@pytest.fixture
def open_page(browser: Browser) -> OpenPage:
    """`with open_page(url, **looks) as page:` asserts at the end that nothing else was loaded."""

    @contextlib.contextmanager
    def open_one(address: str, **looks: Any) -> Iterator[Page]:
        faults: list[str] = []
        with contextlib.closing(browser.new_context(**looks)) as context:
            context.set_default_timeout(5_000)
            context.add_init_script(WATCH)
            page = context.new_page()
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on(
                "request",
                lambda request: (
                    faults.append(request.url) if not request.url.startswith(address) else None
                ),
            )
            page.on(
                "console",
                lambda message: (
                    faults.append(message.text) if "Security Policy" in message.text else None
                ),
            )
            page.goto(f"{address}/")
            yield page
        assert faults == []

    return open_one


@pytest.fixture
def page(open_page: OpenPage, url: str) -> Iterator[Page]:
    with open_page(url) as opened:
        yield opened


def places(page: Page, digit: int) -> list[tuple[float, float]]:
    """Returns where on the screen the stroke of a digit goes."""
    box = page.locator("#pad").bounding_box()
    assert box is not None
    return [
        (box["x"] + right * box["width"], box["y"] + down * box["height"])
        for right, down in STROKES[digit]
    ]


def draw(page: Page, digit: int, steps: int = 4) -> None:
    start, *others = places(page, digit)
    page.mouse.move(*start)
    page.mouse.down()
    for place in others:
        page.mouse.move(*place, steps=steps)
    page.mouse.up()


def expect_answer(page: Page, digit: int) -> None:
    expect(page.locator("#best")).to_have_text(str(digit))
    expect(page.locator("#words")).to_have_text(re.compile(f"^It looks like {digit}, .* sure"))


def wait_until(page: Page, expression: str) -> None:
    """Waits for JavaScript to be true; the page's policy forbids Playwright's own way, `eval`."""
    for _ in range(250):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(20)
    pytest.fail(f"not true within 5 s: {expression}")


@pytest.mark.parametrize("digit", STROKES)
def test_a_drawn_digit_is_answered(page: Page, digit: int) -> None:
    draw(page, digit)
    expect_answer(page, digit)
    expect(page.locator("#version")).to_have_text("5")
    expect(page.locator("#latency")).to_have_text(re.compile(r"^\d+\.\d ms$"))
    wait_until(page, SETTLED)
    levels = page.evaluate(
        "[...document.querySelectorAll('[role=meter]')].map((bar) => Number(bar.ariaValueNow))"
    )
    assert int(np.argmax(levels)) == digit
    assert sum(levels) == pytest.approx(1, abs=0.001)


def test_a_digit_is_drawn_by_touch_without_scrolling(open_page: OpenPage, url: str) -> None:
    with open_page(url, **PHONE) as page:
        touch = page.context.new_cdp_session(page)
        start, end = places(page, 1)
        for step, name in enumerate(["touchStart", *["touchMove"] * 10]):
            at = {"x": start[0], "y": start[1] + (end[1] - start[1]) * step / 10}
            touch.send("Input.dispatchTouchEvent", {"type": name, "touchPoints": [at]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        expect_answer(page, 1)
        assert page.evaluate("scrollY") == 0


def test_a_phone_shows_the_whole_width_and_the_answer_at_once(
    open_page: OpenPage, url: str
) -> None:
    with open_page(url, **PHONE) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        bottom = page.get_by_role("meter").last.bounding_box()
        assert bottom is not None
        assert bottom["y"] + bottom["height"] < 844


def test_a_digit_is_drawn_with_the_keyboard(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("application", name="Drawing area")).to_be_focused()
    for key in ("ArrowUp",) * 8 + ("Space",) + ("ArrowDown",) * 16 + ("Space", "ArrowRight"):
        page.keyboard.press(key)
    expect_answer(page, 1)
    expect(page.get_by_role("status")).to_have_text(
        re.compile(r"^Pen up, column 15, row 22 of 28\. It looks like 1")
    )
    page.keyboard.press("Delete")
    expect(page.locator("#words")).to_have_text(INVITATION)
    expect(page.get_by_role("status")).to_have_text("Cleared.")


def test_two_arrow_keys_draw_slantwise_and_enter_asks(page: Page) -> None:
    page.locator("#pad").focus()
    page.keyboard.press("Space")
    page.keyboard.down("ArrowRight")
    for _ in range(6):
        page.keyboard.press("ArrowDown")
    page.keyboard.up("ArrowRight")
    expect(page.locator("#version")).to_have_text("5")
    expect(page.get_by_role("status")).to_contain_text("column 21, row 20")
    before = page.evaluate("questions.length")
    page.keyboard.press("Enter")
    wait_until(page, f"questions.length > {before}")


def pixels(page: Page, canvas: str) -> NDArray[np.uint8]:
    """Returns the grey levels of a canvas, [height, width]."""
    png = page.evaluate(f"document.getElementById('{canvas}').toDataURL()").partition(",")[2]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("L"))


def test_the_image_shown_is_what_the_python_client_makes_of_the_drawing(page: Page) -> None:
    for digit in STROKES:
        page.get_by_role("button", name="Clear").click()
        draw(page, digit)
        expect_answer(page, digit)
        wait_until(page, SETTLED)
        expected = to_digit(pixels(page, "pad"))
        assert np.abs(pixels(page, "seen").astype(int) - expected).max() <= 1


def test_a_tap_is_a_dot(page: Page) -> None:
    page.locator("#pad").click()
    expect(page.locator("#version")).to_have_text("5")
    assert np.count_nonzero(pixels(page, "pad") > 127) == pytest.approx(np.pi * 22**2, rel=0.02)


def pictures() -> list[NDArray[np.uint8]]:
    """Returns pictures of digits: tall, wide, inverted, tiny, noisy and of MNIST's own size."""
    digit = data.load(data.PACKAGED).test_images[0]
    noise = np.random.default_rng(0).integers(0, 20, (90, 70))
    tall = np.zeros((90, 70), np.uint8)
    tall[20:80, 30:42] = 210
    tall[20:30, 12:42] = 140
    noisy = np.maximum(tall, noise).astype(np.uint8)
    return [tall, tall.T, 255 - tall, digit[5:25, 4:24], 200 - noisy // 2, digit, 255 - digit]


def test_both_languages_make_the_same_digit(page: Page) -> None:
    for picture in pictures():
        height, width = picture.shape
        found = page.evaluate(
            "async ([grey, width, height]) => "
            "[...(await import('/page/digit.js')).toDigit(grey, width, height)]",
            [picture.ravel().tolist(), width, height],
        )
        expected = to_digit(np.ascontiguousarray(picture)).ravel().astype(int)
        assert np.abs(np.array(found) - expected).max() <= 1


def test_a_blank_drawing_is_not_asked_about(page: Page) -> None:
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#words")).to_have_text(INVITATION)
    assert page.evaluate("questions.map(({ path }) => path)") == ["/page/models.json"]


def test_questions_come_one_by_one_and_not_too_often(page: Page) -> None:
    page.evaluate("delay = 60")
    draw(page, 0, steps=3)
    expect_answer(page, 0)
    wait_until(page, SETTLED)
    questions = page.evaluate("questions.filter(({ path }) => path.startsWith('/v1'))")
    assert len(questions) >= 2
    for one, following in itertools.pairwise(questions):
        assert following["start"] >= one["end"]
        assert following["start"] - one["start"] >= 79


def test_an_answer_to_a_cleared_drawing_is_not_shown(page: Page) -> None:
    page.evaluate("delay = 300")
    draw(page, 1, steps=1)
    page.get_by_role("button", name="Clear").click()
    wait_until(page, f"questions.length > 1 && {SETTLED}")
    expect(page.locator("#words")).to_have_text(INVITATION)


def test_a_lost_server_is_told_and_asked_again(page: Page) -> None:
    page.context.set_offline(True)
    draw(page, 7)
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached.")
    page.context.set_offline(False)
    page.get_by_role("button", name="Ask").click()
    expect_answer(page, 7)
    expect(page.get_by_role("alert")).to_be_empty()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (503, '{"error": "queue full"}', "refused (503): queue full. It is busy: try again soon."),
        (404, '{"error": "no model"}', "refused (404): no model."),
        (502, "<html>", "answered 502 without words."),
        (200, '{"predictions": [{"probabilities": [1]}]}', "does not answer with ten"),
    ],
)
def test_a_refusal_is_told_in_words(page: Page, status: int, body: str, words: str) -> None:
    page.route("**/v1/**", lambda route: route.fulfill(status=status, body=body))
    draw(page, 1, steps=1)
    expect(page.get_by_role("alert")).to_contain_text(words)


def test_a_token_is_asked_for_and_a_model_chosen(
    open_page: OpenPage, running_server: Any, trained: Path, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("secret")
    options: list[str | Path] = ["--token-file", tmp_path / "token"]
    for name in ("mnist", "other"):
        options += ["--model-name", name, "--model-base-path", trained]
    with running_server(*options) as server, open_page(server.url) as page:
        field = page.get_by_label("This server wants a token")
        expect(field).to_be_hidden()
        draw(page, 1)
        expect(page.get_by_role("alert")).to_contain_text("The server wants a token")
        for token in ("wrong", "secret"):
            field.fill(token)
            field.press("Enter")
        expect_answer(page, 1)
        expect(field).to_be_hidden()
        page.get_by_role("combobox", name="Model").select_option("other")
        wait_until(page, "questions.at(-1).path === '/v1/models/other:predict'")
        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [
            *(0, 0, "")
        ]


def test_everything_has_a_name_for_a_screen_reader(page: Page) -> None:
    expect(page.locator("body")).to_match_aria_snapshot("""
        - banner:
          - heading "Draw a digit" [level=1]
        - main:
          - region "Drawing":
            - heading "Drawing" [level=2]
            - application "Drawing area"
            - button "Ask"
            - button "Clear"
          - region "Answer":
            - heading "Answer" [level=2]
            - alert
            - paragraph: /Draw a digit from 0 to 9/
            - list "Probability of each digit":
              - listitem:
                - meter "Digit 0"
            - figure "What the model sees":
              - img "The 28 by 28 image that the model sees"
        - status
    """)
    pad = page.locator("#pad")
    expect(pad).to_have_accessible_description(re.compile("Arrow keys move the pen"))
    assert page.get_by_role("meter").count() == 10


def test_dark_and_light_follow_the_system(open_page: OpenPage, url: str) -> None:
    with open_page(url) as page:
        colours = []
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(246, 247, 249)", "rgb(18, 21, 27)"]


def test_no_script_or_style_is_inline() -> None:
    html = (Path(__file__).parents[1] / "serving" / "page" / "index.html").read_text()
    assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", html) == []
