"""The page: its parts, and which of them call what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssd.demo import tables
from ssd.demo.actions import NOTHING, Actions, as_html
from ssd.demo.contestants import LOWEST_SCORE, Contest

TITLE = "Compare detectors"
_SCORE_THRESHOLD, _MAX_BOXES, _MOST_BOXES = 0.3, 20, 100
CSS = """
.gradio-container { max-width: 1500px !important; }
.line, .line * { margin: 0 !important; padding: 0 !important; }
.title p { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.picture-of-model img { max-height: 75vh; object-fit: contain; }
table, table * { font-family: inherit !important; font-variant-numeric: tabular-nums; }
"""


def build(gr: Any, contest: Contest, folder: Path, examples: Sequence[Path]) -> Any:
    """Returns the page, a gradio Blocks.

    Args:
      gr: the module gradio.
      contest: the models.
      folder: for files to be downloaded.
      examples: pictures to pick from.
    """
    actions = Actions(contest, folder)
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.Markdown(f"## {TITLE}")
        findings = gr.State(None, time_to_live=3600)
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                picture, choice = _inputs(gr, actions)
                download = gr.DownloadButton("Detections as JSON", size="sm")
                if examples:
                    _examples(gr, picture, examples)
            with gr.Column(scale=3, min_width=400):
                message = _line(gr, NOTHING)
                drawn = _pictures(gr, contest)
                rows = _tables(gr, contest)
                document = rows.pop()
        outputs = [message, *drawn, *rows, document, download]
        _connect(gr, actions, picture, choice, findings, outputs, document)
    return page


def _inputs(gr: Any, actions: Actions) -> tuple[Any, list[Any]]:
    picture = gr.Image(
        label="Picture",
        type="filepath",
        sources=["upload", "webcam", "clipboard"],
        height=240,
        buttons=[],
    )
    choice = [
        gr.Slider(
            LOWEST_SCORE, 1.0, _SCORE_THRESHOLD, step=0.01, label="Score threshold", buttons=[]
        ),
        gr.Slider(1, _MOST_BOXES, _MAX_BOXES, step=1, label="Most boxes per model", buttons=[]),
        gr.Dropdown(
            actions.class_names(None),
            value=[],
            multiselect=True,
            label="Classes",
            info="none chosen: all",
        ),
    ]
    return picture, choice


def _examples(gr: Any, picture: Any, paths: Sequence[Path]) -> None:
    rows = [[str(path)] for path in paths]
    gr.Examples(rows, [picture], label="Validation pictures", examples_per_page=12)


def _pictures(gr: Any, contest: Contest) -> list[Any]:
    contestants = contest.contestants
    in_a_row = min(len(contestants), 2 if len(contestants) in (2, 4) else 3)
    drawn = []
    for first in range(0, len(contestants), in_a_row):
        row = contestants[first : first + in_a_row]
        with gr.Row():
            for one in row:
                with gr.Column(min_width=240):
                    drawn.append(_picture(gr, one.title))
            for _ in range(in_a_row - len(row)):
                gr.Column(min_width=240)  # keeps the others as wide as those above
    return drawn


def _picture(gr: Any, title: str) -> Any:
    # Above the picture, as a label inside would cover boxes.
    _line(gr, title, "title")
    return gr.Image(
        show_label=False,
        format="jpeg",
        interactive=False,
        buttons=["fullscreen", "download"],
        elem_classes="picture-of-model",
    )


def _line(gr: Any, text: str, *classes: str) -> Any:
    return gr.HTML(as_html(text), elem_classes=["line", *classes])


def _tables(gr: Any, contest: Contest) -> list[Any]:
    """The tables of models, detections and differences, and the document."""
    several = len(contest.contestants) > 1
    models = _table(gr, tables.model_headers(contest), max_height=340)
    with gr.Tab("Differences", visible=several):
        differences = _table(gr, tables.DIFFERENCE_HEADERS)
    with gr.Tab("Detections"):
        detections = _table(gr, tables.DETECTION_HEADERS)
    with gr.Tab("JSON"):
        document = gr.JSON(max_height=420, show_label=False)
    return [models, detections, differences, document]


def _table(gr: Any, headers: list[str], max_height: int = 420) -> Any:
    return gr.Dataframe(
        headers=headers,
        type="array",
        interactive=False,
        max_height=max_height,
        show_label=False,
        buttons=[],
        wrap=True,
    )


def _connect(
    gr: Any,
    actions: Actions,
    picture: Any,
    choice: list[Any],
    findings: Any,
    outputs: list[Any],
    document: Any,
) -> None:
    def look(payload: dict[str, Any] | None, *values: Any) -> tuple[Any, ...]:
        found, *others = actions.look(*_file(payload), *values)
        return (found, gr.Dropdown(choices=actions.class_names(found)), *others)

    def detect(payload: dict[str, Any] | None, *values: Any) -> dict[str, Any]:
        return actions.detect(*_file(payload), *values)

    quiet = {"api_visibility": "private", "show_progress": "hidden"}
    # gradio's own reading of pictures ends in an error where Pillow cannot open one; without it
    # there is a line on the page. That the file is an uploaded one is checked in both cases.
    raw = {"preprocess": False}
    picture.change(look, [picture, *choice], [findings, choice[-1], *outputs], **quiet, **raw)
    gr.on(
        [one.change for one in choice],
        actions.choose,
        [findings, *choice],
        outputs,
        trigger_mode="always_last",
        **quiet,
    )
    # For programs: nobody sees the button.
    ask = gr.Button(visible=False)
    ask.click(detect, [picture, *choice], document, api_name="detect", **raw)


def _file(payload: dict[str, Any] | None) -> tuple[str | None, str]:
    """The path of an uploaded picture, and what it was called; (None, "") without one."""
    if not payload or not payload.get("path"):
        return None, ""
    path = payload["path"]
    return path, Path(payload.get("orig_name") or path).name
