"""The report: intervals, figures, charts, sections, page and Markdown; and what is missing."""

import base64
import copy
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from components.report import charts, figures, render
from components.report.deciding import the_study
from components.report.intervals import share_with_interval, wilson
from pipeline import conclusion, report, show_report
from pipeline.workdir import Workdir

Report = dict[str, Any]


@pytest.fixture
def whole(whole_report: Report) -> Report:
    """A copy that may be changed."""
    return copy.deepcopy(whole_report)


@pytest.mark.parametrize(("right", "images"), [(0, 10), (10, 10), (9_921, 10_000), (1, 3)])
def test_the_interval_is_wilson_s(right: int, images: int) -> None:
    expected = stats.binomtest(right, images).proportion_ci(0.95, "wilson")
    assert wilson(right, images) == pytest.approx((expected.low, expected.high), abs=1e-6)


@pytest.mark.parametrize(("right", "images"), [(1, 0), (0, 0), (11, 10), (-1, 10)])
def test_an_interval_of_no_images_is_refused(right: int, images: int) -> None:
    with pytest.raises(ValueError, match=f"expected 0 to {images} right of at least one image"):
        wilson(right, images)


def test_an_accuracy_is_written_with_its_interval_where_the_images_are_known() -> None:
    assert share_with_interval(0.9921, 10_000) == "99.21% (99.02% to 99.37%)"
    assert share_with_interval(1.0, 20) == "100.00% (83.89% to 100.00%)"
    assert share_with_interval(0.9921, None) == "99.21%"


def test_a_confusion_matrix_has_labels_as_rows_and_answers_as_columns() -> None:
    probabilities = np.eye(10)[[3, 3, 5, 5]]
    counts = np.array(figures.confusion(probabilities, np.array([3, 8, 8, 5], np.uint8)))
    assert counts.shape == (10, 10)
    assert {(a, b): counts[a, b] for a, b in zip(*counts.nonzero(), strict=True)} == {
        **{(3, 3): 1, (8, 3): 1, (8, 5): 1, (5, 5): 1}
    }


def test_mistakes_come_from_the_surest_on_and_right_answers_are_none() -> None:
    probabilities = np.full((3, 10), 0.01)
    probabilities[[0, 1, 2], [1, 2, 3]] = 0.5, 0.9, 0.8
    found = figures.confident_mistakes(probabilities, np.array([0, 2, 7]))
    assert found == [figures.Mistake(2, 7, 3, 0.8), figures.Mistake(0, 0, 1, 0.5)]
    assert figures.confident_mistakes(probabilities, np.array([0, 2, 7]), most=1) == found[:1]


def test_a_picture_is_a_png_with_dark_ink() -> None:
    image = np.zeros((28, 28), np.uint8)
    image[3, 4] = 255
    start, _, encoded = figures.picture(image).partition(",")
    assert start == "data:image/png;base64"
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded))))
    np.testing.assert_array_equal(pixels, 255 - image)


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (charts.Scale(0, 1, 0, 100), [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (charts.Scale(0.951, 0.993, 0, 100), [0.96, 0.97, 0.98, 0.99]),
        (charts.Scale(0.9, 2.1, 0, 100, whole=True), [1, 2]),
        (charts.Scale(0.5, 20.5, 0, 100, whole=True), [5, 10, 15, 20]),
        (charts.Scale(0.01, 100, 0, 100, log=True), [0.01, 0.1, 1, 10, 100]),
        (charts.Scale(1, 12, 0, 100, log=True), [1, 2, 5, 10]),
    ],
)
def test_ticks_are_round_and_few(scale: charts.Scale, ticks: list[float]) -> None:
    assert scale.ticks() == pytest.approx(ticks)


def test_a_scale_maps_its_ends_to_its_ends() -> None:
    linear = charts.Scale(10, 20, 100, 0)
    assert (linear(10), linear(15), linear(20)) == (100, 50, 0)
    logarithmic = charts.Scale(1, 100, 0, 10, log=True)
    assert (logarithmic(1), logarithmic(10), logarithmic(100)) == (0, 5, 10)


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.5], [0.0, 0.0], [float("nan")]])
@pytest.mark.parametrize("log", [False, True])
def test_a_scale_of_nothing_or_of_one_value_can_be_drawn(values: list[float], log: bool) -> None:
    scale = charts.nice_scale(values, 0, 100, log)
    assert scale.low < scale.high
    assert scale.ticks() or log


WORDS = charts.Words("Title", "What it shows", "x", "y")


def test_points_that_are_not_finite_are_left_out() -> None:
    points = [(1, 0.5), (2, float("nan")), (3, float("inf")), (4, 0.7)]
    (series,) = charts.xy_chart(WORDS, [charts.Series("a", points)])["series"]
    assert len(series["dots"]) == 2


def test_points_of_zero_are_left_out_of_a_logarithm() -> None:
    chart = charts.xy_chart(WORDS, [charts.Series("a", [(1, 0.0), (2, 0.5)])], log_y=True)
    (series,) = chart["series"]
    assert len(series["dots"]) == 1


def test_all_marks_are_within_the_drawing() -> None:
    points = [(float(x), 10.0**x) for x in range(-3, 12)]
    chart = charts.xy_chart(WORDS, [charts.Series("a", points)], log_y=True)
    for dot in chart["series"][0]["dots"]:
        assert charts.LEFT <= dot["x"] <= charts.WIDTH - charts.RIGHT
        assert charts.TOP <= dot["y"] <= charts.HEIGHT - charts.BOTTOM


def test_labels_of_points_that_lie_together_go_above_and_below() -> None:
    series = [charts.Series(n, [(1.0, 0.5)], line=False, labels=[n]) for n in ("a", "b")]
    series.append(charts.Series("far", [(2.0, 0.9)], line=False, labels=["far"]))
    drawn = charts.xy_chart(WORDS, series)["series"]
    assert [s["dots"][0]["below"] for s in drawn] == [False, True, False]


def test_a_bar_begins_at_the_axis_and_a_whisker_goes_around_its_point() -> None:
    bars = [charts.Bar("a", 0.5, "50%"), charts.Bar("b", 1.0, "100%", (0.9, 1.0))]
    chart = charts.bar_chart(WORDS, bars)
    plain, whisker = chart["rows"]
    assert chart["left"] < plain["to"] < whisker["to"] == charts.WIDTH - charts.BAR_RIGHT
    assert whisker["whisker"][0] < whisker["to"] == whisker["whisker"][1]
    assert charts.bar_chart(WORDS, [])["rows"] == []


def test_a_whole_report_shows_every_section_and_nothing_is_missing(whole: Report) -> None:
    sections, missing = render.sections_of(whole)
    assert missing == []
    assert [section.name for section in sections] == [
        *("decision", "models", "study", "curves", "health", "trials", "confusion"),
        *("digits", "mistakes", "behaviour", "costs", "data", "time", "lineage"),
    ]


def test_what_does_not_behave_as_expected_is_named(whole: Report) -> None:
    sections, _ = render.sections_of(whole)
    (section,) = (s for s in sections if s.name == "behaviour")
    assert section.text == [
        "2 changes of the first 1,000 digits of test; not as expected: inverted."
    ]
    (table,) = section.tables
    assert table.rows[1] == ["inverted", "the same digit", "36.5%", "36.2%", "0.67", "no"]
    assert table.rows[2] == ["blank", "unsure", "-", "-", "0.12", "yes"]
    sections, missing = render.sections_of({**whole, "behaviour": []})
    assert missing == []
    assert any(s.text == ["No model was chosen, so none was asked."] for s in sections)


def test_the_decision_and_its_reason_come_first(whole: Report) -> None:
    text = re.sub(r"<style>.*?</style>", "", render.page(whole), flags=re.DOTALL)
    assert text.index("<h1>sequential won</h1>") < text.index("most accurate: 99.08%")
    assert text.index("most accurate: 99.08%") < text.index("<h2")
    assert "pushed as version 1795536825" in text


def test_where_no_model_won_that_is_the_headline(whole: Report) -> None:
    whole["decision"] = {"winner": None, "blessed": False, "reason": "no model was blessed"}
    assert "<h1>No model won</h1>" in render.page(whole)
    assert "Nothing was pushed; what was served before still is." in render.markdown(whole)


def test_the_study_s_curves_are_drawn_beside_ours(whole: Report) -> None:
    accuracy, loss = the_study(whole).charts
    assert [s["name"] for s in accuracy["series"]] == [
        *(f"study, run {name}" for name in "ABC"),
        "this run",
    ]
    assert [len(s["dots"]) for s in accuracy["series"][:3]] == [10, 10, 10]
    assert [s["name"] for s in loss["series"]] == ["train", "eval"]
    assert "2e10" in loss["words"].description


def test_the_study_s_numbers_stand_beside_ours(whole: Report) -> None:
    text = render.markdown(whole)
    assert "| study, run B | 64 | 0.001 | 0.0064 | 99.81% | 0.0307 | 99.23% (99.06% to" in text
    assert "| **this run, 6 epochs, 48,000 images** |" in text
    assert "| study, epoch 6 | 20,100,694,016 | 46.31% | 2.3010 | 11.35% |" in text
    assert "| this run at 32x32x1, epoch 2 |" in text


def test_what_the_doctor_says_is_there_with_the_layers_at_the_end(whole: Report) -> None:
    text = render.markdown(whole)
    assert "| vgg16 | exploding: in step 40 the loss went from 0.1 to 2e10 |" in text
    assert "sequential: each layer at step 200" in text
    assert "| dense | 0.4 | 0.004 | - | 1.2 |" in text


def test_trainings_that_no_doctor_looked_at_are_shown_without(whole: Report) -> None:
    whole["models"][0]["diagnosis"] = None
    whole["models"][1]["diagnosis"] = {"words": "healthy"}
    del whole["models"][2]["diagnosis"]
    sections, missing = render.sections_of(whole)
    (health,) = [section for section in sections if section.name == "health"]
    assert missing == []
    assert [table.rows for table in health.tables] == [[["alexnet", "healthy"]]]
    del whole["models"][1]["diagnosis"]
    assert "No training was looked at." in render.markdown(whole)


def test_every_trial_is_there_and_the_chosen_one_is_pointed_out(whole: Report) -> None:
    whole["models"][1]["trials"][0] |= {"status": "FAILED", "message": "it diverged"}
    sections, _ = render.sections_of(whole)
    (trials,) = [section for section in sections if section.name == "trials"]
    assert [len(table.rows) for table in trials.tables] == [4, 4, 4]
    assert [table.strong for table in trials.tables] == [2, 2, 2]
    assert trials.tables[1].rows[0][-1] == "failed: it diverged"


def test_what_models_say_is_text_and_no_markup(whole: Report) -> None:
    whole["decision"]["reason"] = "<script>alert(1)</script> | a\nb"
    page, text = render.page(whole), render.markdown(whole)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "<script" not in text
    assert "&lt;script>alert(1)&lt;/script> \\| a b" in text
    assert "&lt;b>the others&lt;/b> are behind &amp; far" in text


def test_the_page_is_one_file_that_loads_nothing(whole: Report) -> None:
    page = render.page(whole)
    assert re.findall(r"""(?:src|href)=["']?(?!data:|#)[^"'>]+""", page) == []
    assert "url(" not in page
    assert "@import" not in page
    assert "<script" not in page
    assert "default-src 'none'" in page


def test_every_chart_has_a_title_and_a_description_and_ids_are_unique(whole: Report) -> None:
    page = render.page(whole)
    labelled = re.findall(r'<svg [^>]*aria-labelledby="(\S+) (\S+)"', page)
    assert len(labelled) == page.count('<figure class="chart">') >= 11
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert {name for pair in labelled for name in pair} <= set(ids)


def test_every_row_of_a_table_in_markdown_has_the_columns_of_its_head(whole: Report) -> None:
    lines = render.markdown(whole).splitlines()
    heads = [n for n, line in enumerate(lines) if re.fullmatch(r"\|(---\|)+", line)]
    assert len(heads) > 10
    for at in heads:
        columns = lines[at].count("---")
        for line in lines[at - 1 : at] + lines[at + 1 :]:
            if not line.startswith("|"):
                break
            assert len(re.findall(r"(?<!\\)\|", line)) == columns + 1


def test_three_files_are_written_and_no_part_is_left(whole: Report, tmp_path: Path) -> None:
    render.write(whole, tmp_path / "new")
    assert {file.name for file in (tmp_path / "new").iterdir()} == {
        *("index.html", "report.md", "report.json")
    }
    assert json.loads((tmp_path / "new" / "report.json").read_text()) == whole


def test_the_digest_of_the_templates_is_that_of_their_content() -> None:
    assert re.fullmatch("[0-9a-f]{16}", render.templates_digest())


def test_nothing_at_all_still_makes_a_page_that_says_so() -> None:
    page = render.page({})
    assert "No model won" in page
    assert "What is missing" in page
    assert render.markdown({}).startswith("# No model won")


@pytest.mark.parametrize("key", ["decision", "models", "data", "statistics", "node_seconds"])
def test_without_a_part_the_rest_is_shown(whole: Report, key: str) -> None:
    del whole[key]
    sections, _ = render.sections_of(whole)
    assert len(sections) >= 9
    assert render.page(whole)


@pytest.mark.parametrize("value", [None, 7, "text", [1], {"a": 1}])
@pytest.mark.parametrize("key", ["models", "statistics", "anomalies", "lineage", "packages"])
def test_a_part_of_another_form_is_named_and_the_rest_is_shown(
    whole: Report, key: str, value: object
) -> None:
    whole[key] = value
    sections, missing = render.sections_of(whole)
    assert len(sections) + len(missing) >= 12
    assert len(sections) >= 4
    assert render.page(whole)
    assert render.markdown(whole)


def test_a_model_that_was_never_evaluated_says_so_and_the_others_are_shown(whole: Report) -> None:
    for key in [key for key in whole["models"][1] if key.startswith("test_")]:
        del whole["models"][1][key]
    text = render.markdown(whole)
    assert "| never evaluated |" in text
    assert "99.20% (99.01% to 99.36%)" in text
    assert render.sections_of(whole)[1] == []


def test_a_training_that_diverged_is_drawn_as_far_as_it_went(whole: Report) -> None:
    history = whole["models"][2]["history"]
    history.append({**history[0], "loss": float("nan"), "val_loss": float("inf")})
    whole["models"][2]["diverged"] = True
    text = render.markdown(whole)
    assert "vgg16: the loss stopped being finite" in text
    assert "nan" not in re.findall(r'points="[^"]*"', render.page(whole))


def comparison(whole: Report) -> Report:
    """Returns the comparison.json of a report."""
    extra = ("history", "confusion", "mistakes")
    models = [{k: v for k, v in row.items() if k not in extra} for row in whole["models"]]
    kept = {key: whole[key] for key in ("profile", "data", "node_seconds", "total_seconds")}
    return {**kept, **whole["decision"], "models": models}


@pytest.fixture
def workdir(tmp_path: Path, whole: Report) -> Workdir:
    """A workdir with a comparison and no report, as an older version left it."""
    made = Workdir.at(tmp_path)
    made.report.mkdir()
    (made.report / "comparison.json").write_text(json.dumps(comparison(whole)))
    return made


def test_what_the_runner_knows_is_added_to_what_the_node_wrote(
    whole: Report, workdir: Workdir, tmp_path: Path
) -> None:
    known = ("profile", "node_seconds", "total_seconds", "lineage")
    inside = {key: value for key, value in whole.items() if key not in known}
    render.write(inside, tmp_path / "node")
    page = report.write_report(workdir, comparison(whole), tmp_path / "node", whole["lineage"])
    assert json.loads((workdir.report / "report.json").read_text()) == whole
    assert page.read_text() == render.page(whole)


@pytest.mark.parametrize("content", [None, "", "{half"])
def test_without_what_the_node_wrote_the_comparison_has_to_do(
    whole: Report, workdir: Workdir, tmp_path: Path, content: str | None
) -> None:
    (tmp_path / "node").mkdir()
    if content is not None:
        (tmp_path / "node" / "report.json").write_text(content)
    page = report.write_report(workdir, comparison(whole), tmp_path / "node")
    text = page.read_text()
    assert "sequential won" in text
    assert "what the node Report wrote: " in text
    assert "no model has answers on eval" in text
    assert "Trainer.sequential" in text


def shown(
    workdir: Workdir, capsys: pytest.CaptureFixture[str], open_it: bool = False
) -> tuple[int, str]:
    code = show_report.show_report(workdir.root, open_it)
    return code, capsys.readouterr().out


def test_the_command_prints_the_table_and_writes_the_page_where_there_is_none(
    workdir: Workdir, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output = shown(workdir, capsys)
    assert code == 0
    assert "12,029,378" in output
    assert output.endswith(f"{workdir.report}/comparison.json\n{workdir.report}/index.html\n")
    assert (workdir.report / "index.html").is_file()
    assert (workdir.report / "report.md").is_file()


@pytest.mark.parametrize("found", [True, False])
def test_open_shows_the_page_in_a_browser_or_says_that_there_is_none(
    workdir: Workdir,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    found: bool,
) -> None:
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or found)
    code, output = shown(workdir, capsys, open_it=True)
    assert code == 0
    assert opened == [(workdir.report / "index.html").as_uri()]
    assert ("No browser was found" in output) is not found


def test_a_comparison_of_another_version_is_shown_as_far_as_it_goes(
    workdir: Workdir, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"name": "sequential", "params": 873_738, "batch_size": 64}
    (workdir.report / "comparison.json").write_text(json.dumps({"models": [row]}))
    code, output = shown(workdir, capsys)
    assert code == 0
    assert "873,738" in output
    assert "missing: winner (the file is of another version)" in output
    assert "missing: sequential was never evaluated" in output
    assert "missing: input_shape, learning_rate, train_images, epochs" in output
    assert (workdir.report / "index.html").is_file()


@pytest.mark.parametrize(
    ("content", "words"), [("", "Expecting value"), ("[1]", "a list"), ("{", "Expecting property")]
)
def test_a_comparison_that_is_none_is_a_wrong_call(
    workdir: Workdir, capsys: pytest.CaptureFixture[str], content: str, words: str
) -> None:
    (workdir.report / "comparison.json").write_text(content)
    code, output = shown(workdir, capsys)
    assert code == 2
    assert output.startswith(f"expected a comparison in {workdir.report}/comparison.json; got ")
    assert words in output
    assert output.endswith(": run `mnist-tfx run` again\n")


def test_where_the_push_was_done_it_is_not_said_that_nothing_was_pushed() -> None:
    words = conclusion.after_failure({"Trainer.vgg16"})
    assert words == "Nothing was pushed by this run; what is done is kept for the next one."
    assert conclusion.after_failure({"Trainer.vgg16", "VersionPusher"}) == (
        "What the selector chose was pushed, if anything; the rest is kept for the next run."
    )


def test_rendering_imports_nothing_heavy() -> None:
    code = "import pipeline.show_report, sys; print(*{n.split('.')[0] for n in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {*done.stdout.split()} & {"tensorflow", "tfx", "keras", "ml_metadata", "apache_beam"}
