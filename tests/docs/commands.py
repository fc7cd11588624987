"""The commands that the pages name, and how each is shortened."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PAGES = (
    PROJECT / "README.md",
    *sorted((PROJECT / "docs").glob("*.md")),
    PROJECT / "pipeline_configs/README.md",
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(\./run\.sh [^`\n]+)`")
# Blocks of other languages show output, or what needs the network or another machine.
_EXECUTED = ("", "sh", "bash")


@dataclass(frozen=True)
class Command:
    """One command of a page.

    Attributes:
      page: its path in the checkout.
      line: where it begins, from 1.
      text: without its comment; lines that go on are joined.
    """

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line} {self.text}"


def commands_of(page: Path) -> Iterator[Command]:
    """Yields the commands of the fenced blocks of a page, in order."""
    text = page.read_text()
    name = page.relative_to(PROJECT).as_posix()
    for block in _FENCE.finditer(text):
        if block[1] not in _EXECUTED:
            continue
        first = text.count("\n", 0, block.start(2)) + 1
        parts: list[str] = []
        for number, line in enumerate(block[2].splitlines(), first):
            parts.append(line.rstrip("\\").strip())
            if not line.endswith("\\"):
                joined = " ".join(parts)
                if shlex.split(joined, comments=True):
                    words = re.sub(r"\s+#.*$", "", joined)
                    yield Command(name, number - len(parts) + 1, words)
                parts = []


def inline_commands_of(page: Path) -> Iterator[Command]:
    """Yields what prose names as `./run.sh ...`."""
    text = page.read_text()
    name = page.relative_to(PROJECT).as_posix()
    outside = _FENCE.sub(lambda block: "\n" * block[0].count("\n"), text)
    for found in _INLINE.finditer(outside):
        yield Command(name, outside.count("\n", 0, found.start()) + 1, found[1])


def shortened(command: Command) -> str:
    """The command with a length, a model and a checkpoint that fit a test; else as written."""
    words = command.text.split()
    text = re.sub(r"(?<=/ckpt-)\d+", "2", command.text)
    if words[:2] == ["./run.sh", "train"]:
        return _shortened_training(text)
    if words[:2] == ["./run.sh", "export-tflite"]:
        text = re.sub(r"--max-map-drop \S+", "", text)
        return f"{text} --max-map-drop 100"
    if "--annotations" in words and words[1] == "detect":
        # A model of two steps is sure of nothing.
        return re.sub(r"(?<=--score-threshold )\S+", "0", text)
    return text


def _shortened_training(text: str) -> str:
    if text == "./run.sh train":
        return f"{text} --steps 2 --eval-every 2"
    text = re.sub(r"--(steps|eval-every|batch-size) \d+", "", text)
    text = re.sub(r"(?<=warmup_steps=)\d+", "1", text)
    # Configs by name are networks of full size.
    text = re.sub(r"--config (?!\S+\.config)\S+", "", text)
    if "--config" not in text:
        text += " --config tiny.config"
    if "--checkpoint" not in text:
        text += " --checkpoint none"
    return f"{text} --steps 2 --batch-size 4 --eval-every 2"
