"""Videos in and out, and a camera that is played by a list of frames."""

from __future__ import annotations

import builtins
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from ssd import detect as detect_module
from ssd import video
from ssd.errors import InputError

cv2 = pytest.importorskip("cv2", reason="no OpenCV here; requirements/video.txt has it")

HEIGHT, WIDTH, FRAMES, RATE = 96, 160, 12, 8.0


def frame(number: int) -> np.ndarray:
    """A red bar on grey that moves right by 10 pixels a frame; RGB."""
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    image[20:60, 10 * number : 10 * number + 30] = (230, 20, 20)
    return image


@pytest.fixture
def clip(tmp_path) -> Path:
    path = tmp_path / "clip.mp4"
    codec = cv2.VideoWriter_fourcc(*"mp4v")
    out = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, RATE, (WIDTH, HEIGHT))
    for number in range(FRAMES):
        out.write(np.ascontiguousarray(frame(number)[:, :, ::-1]))
    out.release()
    return path


def read(path: Path) -> tuple[list[np.ndarray], float]:
    """Returns the RGB frames of a file and its rate."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    rate = capture.get(cv2.CAP_PROP_FPS)
    frames = []
    while (got := capture.read())[0]:
        frames.append(got[1][:, :, ::-1])
    return frames, rate


def left_of_red(image: np.ndarray) -> int:
    is_red = (image[40, :, 0] > 160) & (image[40, :, 2] < 90)
    return int(np.argmax(is_red))


def look(image: np.ndarray) -> list[dict]:
    left = left_of_red(image) / image.shape[1]
    return [{"class": "bar", "class_id": 1, "score": 0.9, "box": [0.2, left, 0.6, left + 0.19]}]


def as_it_is(image: np.ndarray, found: list[dict]) -> np.ndarray:
    return image


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.MP4", True), ("b.mov", True), ("camera:0", True), ("c.jpg", False), ("mp4", False)],
)
def test_what_is_a_video(name, expected):
    assert video.is_video(Path(name)) == expected


def test_every_frame_is_seen_and_written(clip, tmp_path):
    output = tmp_path / "new/drawn.mp4"
    found = video.run(str(clip), look, as_it_is, output=output)
    assert (found.size, found.frames_per_second, found.stated) == ((HEIGHT, WIDTH), RATE, FRAMES)
    assert found.times == [n / RATE for n in range(FRAMES)]
    # Compression blurs an edge by a pixel or two.
    lefts = [frame_found[0]["box"][1] * WIDTH for frame_found in found.detections]
    np.testing.assert_allclose(lefts, [10 * n for n in range(FRAMES)], atol=2)
    frames, rate = read(output)
    assert (len(frames), rate, frames[0].shape) == (FRAMES, RATE, (HEIGHT, WIDTH, 3))
    # Red stays red: channels are in order both ways.
    assert frames[5][40, 65, 0] > 180 > 90 > frames[5][40, 65, 2]
    assert [path.name for path in output.parent.iterdir()] == ["drawn.mp4"]
    json.dumps(found.as_json())
    assert found.line().startswith("12 frames, ")


def test_a_limit(clip, tmp_path):
    found = video.run(str(clip), look, as_it_is, output=tmp_path / "o.mp4", limit=5)
    assert (len(found.times), len(read(tmp_path / "o.mp4")[0])) == (5, 5)


def test_nothing_is_written_without_output(clip, tmp_path):
    before = sorted(tmp_path.iterdir())
    assert len(video.run(str(clip), look, as_it_is, output=None).times) == FRAMES
    assert sorted(tmp_path.iterdir()) == before


def interrupting(after: int, error: type[BaseException]):
    seen = []

    def detect(image):
        if len(seen) == after:
            raise error("now")
        seen.append(image)
        return []

    return detect


@pytest.mark.parametrize("after", [0, 4])
def test_an_interruption_leaves_a_playable_file_or_nothing(clip, tmp_path, after):
    output = tmp_path / "out/o.mp4"
    found = video.run(str(clip), interrupting(after, KeyboardInterrupt), as_it_is, output=output)
    assert (found.is_interrupted, len(found.times)) == (True, after)
    files = [path.name for path in output.parent.iterdir()] if output.parent.exists() else []
    assert files == (["o.mp4"] if after else [])
    if after:
        assert len(read(output)[0]) == after


def test_a_bug_leaves_nothing(clip, tmp_path):
    with pytest.raises(ZeroDivisionError):
        video.run(
            str(clip), interrupting(4, ZeroDivisionError), as_it_is, output=tmp_path / "out/o.mp4"
        )
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text.mp4", r"text\.mp4: not a video that OpenCV's FFmpeg can read; is it whole\?$"),
        ("half.mp4", r"half\.mp4: (not a video|no frame can be read)"),
        ("camera:front", r"camera:front: a number was expected behind camera:, such as camera:0"),
        ("camera:9", r"camera:9: no such camera, or another program has it"),
    ],
)
def test_bad_sources(clip, tmp_path, name, message):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "half.mp4").write_bytes(clip.read_bytes()[:1500])
    source = name if name.startswith("camera") else str(tmp_path / name)
    with pytest.raises(InputError, match=message):
        video.run(source, look, as_it_is, output=tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_an_output_that_cannot_be_written(clip, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        InputError, match=r"file/o\.mp4: cannot be written \((Not a directory|File exists)\)"
    ):
        video.run(str(clip), look, as_it_is, output=tmp_path / "file/o.mp4")


def test_frames_that_the_disk_did_not_take(clip, tmp_path, monkeypatch):
    class Full(video._OutputFile):
        def finish(self) -> None:
            self._written += 3
            super().finish()

    monkeypatch.setattr(video, "_OutputFile", Full)
    message = r"o\.mp4: 12 of 15 frames were written; is the disk full\?"
    with pytest.raises(InputError, match=message):
        video.run(str(clip), look, as_it_is, output=tmp_path / "out/o.mp4")
    assert list((tmp_path / "out").iterdir()) == []


class Camera:
    """Gives frames for ever, one each 0.5 seconds of the clock below."""

    now = 100.0

    def __init__(self) -> None:
        self.number = 0

    def read(self):
        self.number += 1
        Camera.now += 0.5
        return True, np.ascontiguousarray(frame(self.number % 10)[:, :, ::-1])

    def get(self, what):
        return RATE if what == cv2.CAP_PROP_FPS else -1.0

    def release(self) -> None:
        pass


@pytest.fixture
def camera(monkeypatch) -> None:
    Camera.now = 100.0
    monkeypatch.setattr(video, "_open", lambda cv2, source: Camera())
    monkeypatch.setattr(video.time, "monotonic", lambda: Camera.now)


def test_a_camera_plays_as_fast_as_it_happened(camera, tmp_path):
    found = video.run("camera:0", look, as_it_is, output=tmp_path / "o.mp4", limit=4)
    assert found.times == [0.0, 0.5, 1.0, 1.5]
    # 8 frames a second, a new picture each half second: frames 1, 5, 9 and 13 are new.
    frames, rate = read(tmp_path / "o.mp4")
    assert (len(frames), rate) == (13, RATE)


class Fixed:
    """Finds a bolt in everything."""

    image_size, batch_size = None, 1

    def __init__(self, label_map) -> None:
        self.label_map = label_map

    def __call__(self, images):
        return {
            "detection_boxes": np.array([[[0.1, 0.2, 0.5, 0.75]]], np.float32),
            "detection_scores": np.array([[0.75]], np.float32),
            "detection_classes": np.array([[1]]),
            "num_detections": np.array([1]),
        }


class TestVerb:
    @pytest.fixture(autouse=True)
    def _predictor(self, monkeypatch, tiny_label_map):
        monkeypatch.setattr(
            detect_module,
            "load_predictor",
            lambda model, label_map, num_threads: Fixed(tiny_label_map),
        )

    def run(self, inputs, output, **changes) -> None:
        flags = {"score_threshold": 0.3, "as_json": False, "label_map": None, "threads": 2}
        texts = [str(path) for path in inputs]
        detect_module.run("model", texts, output=str(output), **(flags | changes))

    def test_a_video_is_drawn(self, clip, tmp_path, capsys):
        self.run([clip], tmp_path / "out")
        frames, _ = read(tmp_path / "out/clip.mp4")
        assert len(frames) == FRAMES
        # The box's left edge is at 0.2 * 160 = 32; the grey is 90.
        assert abs(frames[11][30, 32].astype(int) - 90).max() > 40
        out = capsys.readouterr().out
        assert out.startswith(f"{clip}: 12 frames, ")
        assert out.endswith(f" a second; 12 bolt -> {tmp_path}/out/clip.mp4\n")

    def test_json_has_every_frame(self, clip, tmp_path, capsys):
        self.run([clip], tmp_path / "out", as_json=True, frames=3)
        (found,) = json.loads(capsys.readouterr().out)["videos"]
        assert (found["file"], found["height"], found["width"]) == (str(clip), HEIGHT, WIDTH)
        assert [(row["frame"], row["time"]) for row in found["frames"]] == [
            (0, 0.0),
            (1, 0.125),
            (2, 0.25),
        ]
        assert found["frames"][2]["detections"][0]["class"] == "bolt"
        assert not (tmp_path / "out").exists()

    def test_ctrl_c_of_a_camera(self, camera, tmp_path, monkeypatch, capsys):
        calls = []

        def detect(*arguments):
            calls.append(arguments)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return []

        monkeypatch.setattr(detect_module, "detect", detect)
        said = r"interrupted; 2 frames of camera:0 are in .*out/camera_0\.mp4"
        with pytest.raises(KeyboardInterrupt, match=said):
            self.run(["camera:0"], tmp_path / "out")
        assert len(read(tmp_path / "out/camera_0.mp4")[0]) == 5
        calls.clear()
        with pytest.raises(KeyboardInterrupt):
            self.run(["camera:0"], tmp_path / "out", as_json=True)
        found = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert len(found["videos"][0]["frames"]) == 2

    def test_the_original_is_never_overwritten(self, clip):
        before = clip.read_bytes()
        with pytest.raises(InputError, match=r"clip\.mp4: the drawing would replace the original"):
            self.run([clip], clip.parent)
        assert clip.read_bytes() == before

    def test_no_annotations_of_videos(self, clip, tmp_path):
        with pytest.raises(InputError, match=r"--annotations is for pictures; .*clip\.mp4 is none"):
            self.run([clip], tmp_path / "out", annotations=str(tmp_path / "a.json"))

    def test_without_opencv_it_is_one_line(self, clip, tmp_path, monkeypatch):
        real = builtins.__import__

        def without(name, *arguments, **named):
            if name == "cv2":
                raise ImportError("No module named 'cv2'")
            return real(name, *arguments, **named)

        monkeypatch.delitem(sys.modules, "cv2")
        monkeypatch.setattr(builtins, "__import__", without)
        message = r"clip\.mp4: videos and cameras need OpenCV; run .* -r .*requirements/video\.txt$"
        with pytest.raises(InputError, match=message):
            self.run([clip], tmp_path / "out")
