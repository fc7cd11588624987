"""What happens on the page, in plain values.

A new picture goes through all models once (`look`); sliders and the class filter choose from what
was found then (`choose`).
"""

from __future__ import annotations

import html
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssd.demo import tables
from ssd.demo.comparison import Choice, shown
from ssd.demo.contestants import Contest, Findings
from ssd.detect import draw, read_image
from ssd.errors import InputError

NOTHING = "Drop a picture, paste one, or take one with the camera."


class Actions:
    """The functions behind the page's parts; outputs are in the order of `page`'s."""

    def __init__(self, contest: Contest, folder: Path) -> None:
        """`folder` takes the files to be downloaded."""
        self._contest = contest
        self._folder = folder

    def look(self, path: str | None, name: str, *choice: Any) -> tuple[Any, ...]:
        """Returns the findings in a picture, then the outputs of `choose`.

        Args:
          path: of the picture; None where it was taken away.
          name: what people call the file.
          choice: as for `choose`.
        """
        findings, message = self._findings(path, name)
        if findings is None:
            return (None, *self._nothing(message))
        return (findings, *self.choose(findings, *choice))

    def choose(
        self,
        findings: Findings | None,
        score_threshold: float,
        max_boxes: float,
        classes: Sequence[str] | None,
    ) -> tuple[Any, ...]:
        """Returns message, drawn pictures, rows of the three tables, document and its file.

        Args:
          findings: None where there is no picture.
          score_threshold, max_boxes, classes: see `Choice`.
        """
        if findings is None:
            return self._nothing(NOTHING)
        choice = Choice(float(score_threshold), int(max_boxes), frozenset(classes or ()))
        drawn = [draw(findings.image, shown(one, choice)) for one in findings.detections]
        height, width = findings.size
        document = tables.document(self._contest, findings, choice)
        return (
            as_html(f"{findings.name}, {width} x {height} pixels"),
            *drawn,
            tables.model_rows(self._contest, findings, choice),
            tables.detection_rows(self._contest, findings, choice),
            tables.difference_rows(self._contest, findings, choice),
            document,
            self._file(document),
        )

    def detect(self, path: str | None, name: str, *choice: Any) -> dict[str, Any]:
        """Returns the document of `tables` for a picture; {"error": why} where there is none."""
        findings, message = self._findings(path, name)
        if findings is None:
            return {"error": message}
        score_threshold, max_boxes, classes = choice
        wanted = Choice(float(score_threshold), int(max_boxes), frozenset(classes or ()))
        return tables.document(self._contest, findings, wanted)

    def class_names(self, findings: Findings | None) -> list[str]:
        """Returns the names to choose from: the models' own, and what else was found."""
        found = [one["class"] for each in findings.detections for one in each] if findings else []
        return list(dict.fromkeys([*self._contest.class_names, *sorted(found)]))

    def _nothing(self, message: str) -> tuple[Any, ...]:
        """What `choose` returns, empty."""
        return (as_html(message), *[None] * len(self._contest.contestants), [], [], [], None, None)

    def _findings(self, path: str | None, name: str) -> tuple[Findings | None, str]:
        if path is None:
            return None, NOTHING
        try:
            return self._contest.look(read_image(Path(path)), name), ""
        except InputError as error:
            # The path is where gradio put the file.
            return None, str(error).replace(path, name)

    def _file(self, document: dict[str, Any]) -> str:
        folder = tempfile.mkdtemp(dir=self._folder)
        path = Path(folder, f"{Path(document['file']).stem}_detections.json")
        path.write_text(json.dumps(document, indent=1) + "\n")
        return str(path)


def as_html(text: str) -> str:
    """Returns a paragraph that shows the text as it is."""
    return f"<p>{html.escape(text)}</p>"
