from __future__ import annotations

import builtins
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ssd import checkpoint, label_map
from ssd import detect as detect_verb
from ssd.config import pipeline
from ssd.demo import server
from ssd.errors import InputError
from ssd.predictor import load_predictor

FLAGS = {
    "port": None,
    "host": "127.0.0.1",
    "no_browser": True,
    "label_map": None,
    "data": None,
    "threads": 1,
}
PATIENCE = 120


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_without_gradio_the_command_that_installs_it(monkeypatch):
    real = builtins.__import__

    def missing(name, *arguments, **options):
        if name == "gradio":
            raise ImportError("No module named 'gradio'")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    command = r"\S*python\S* -m pip install -r \S*requirements/demo\.txt$"
    with pytest.raises(InputError, match=f"^the page needs gradio; run {command}"):
        server.run(["nowhere.tflite"], **FLAGS)
    assert server.REQUIREMENTS.is_file()


def test_gradio_is_told_to_ask_nobody(monkeypatch):
    for name in ("GRADIO_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "gradio", object())
    server.require_gradio()
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    assert os.environ["HF_HUB_OFFLINE"] == os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_a_taken_port(taken):
    message = rf"--port: {taken} on 127\.0\.0\.1 cannot be used \(Address already in use\); give"
    with pytest.raises(InputError, match=message):
        server.free_port("127.0.0.1", taken)


def test_without_a_wish_the_next_port(taken, monkeypatch):
    monkeypatch.setattr(server, "_PORTS", range(taken, taken + 30))
    assert taken < server.free_port("127.0.0.1", None) < taken + 30
    monkeypatch.setattr(server, "_PORTS", range(taken, taken + 1))
    with pytest.raises(InputError, match=rf"--port: none of {taken} to {taken} can be used"):
        server.free_port("127.0.0.1", None)


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        pytest.param("127.0.0.1", 70000, r"--port: 70000 is no port; the largest is 65535", id="p"),
        pytest.param("no host", 7000, r"--host: no host is no address \(", id="no name"),
        pytest.param("192.0.2.7", 7000, r"--port: 7000 on 192\.0\.2\.7 cannot be used", id="other"),
    ],
)
def test_places_that_are_none(host, port, message):
    with pytest.raises(InputError, match=message):
        server.free_port(host, port)


@pytest.fixture
def model_folder(tiny_detector, tiny_config, tiny_label_map, tmp_path) -> Path:
    """As a run leaves it; skips without gradio, which whoever takes it needs."""
    pytest.importorskip("gradio", reason="no gradio here; requirements/demo.txt has it")
    folder = tmp_path / "run"
    folder.mkdir()
    biases = [
        variable
        for key, variable in tiny_detector.checkpoint_variables().items()
        if "class" in key.lower() and "bias" in key
    ]
    # Fresh weights give 0.01 everywhere, below what is kept; a step of 4 makes that 0.36.
    assert biases
    for variable in biases:
        variable.assign_add(4.0 * np.ones(variable.shape))
    pipeline.save(tiny_config, folder / "pipeline.config")
    label_map.save(tiny_label_map, folder / "label_map.pbtxt")
    checkpoint.save(folder / "best", tiny_detector, 5)
    return folder


@pytest.fixture
def served(model_folder, tiny_data, project, tmp_path) -> Iterator[tuple[subprocess.Popen, str]]:
    """The verb as a process, and the address that it prints."""
    port = server.free_port("127.0.0.1", None)
    command = [sys.executable, "-m", "ssd", "demo", "--model", model_folder]
    command += ["--data", tiny_data, "--port", str(port), "--no-browser"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        # Nobody answers there: a request to the outside would show.
        env={
            **os.environ,
            "PYTHONPATH": str(project),
            "TMPDIR": str(tmp_path),
            "HTTP_PROXY": "http://127.0.0.1:9",
            "HTTPS_PROXY": "http://127.0.0.1:9",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Where the tests run in the background, Ctrl-C is ignored by all their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("http://"):
                assert line == f"http://127.0.0.1:{port} (Ctrl-C ends it)\n"
                break
        else:
            pytest.fail(f"it ended with {process.wait()} before it served a page")
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_the_page_and_its_detections(served, model_folder, tiny_voc, tmp_path, monkeypatch):
    process, url = served
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    page = direct.open(url, timeout=PATIENCE).read().decode()
    # Every script, style and font comes from here; addresses in meta elements are not asked.
    loaded = [tag for tag in page.split("<") if tag.startswith(("script", "link"))]
    assert loaded
    assert [tag for tag in loaded if "https://" in tag.split(">")[0]] == []
    assert "p5_0.png" in page  # of --data

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    from gradio_client import Client, handle_file  # comes with gradio

    picture = tiny_voc / "images/p1.png"
    client = Client(url, verbose=False, download_files=str(tmp_path / "client"))
    answer = client.predict(handle_file(picture), 0.0, 100, [], api_name="/detect")
    (model,) = answer["models"]
    assert (answer["file"], answer["height"], answer["width"]) == ("p1.png", 110, 190)
    expected = detect_verb.detect(
        load_predictor(model_folder), detect_verb.read_image(picture), 0.01
    )
    assert len(model["detections"]) == len(expected[:100]) > 0
    for ours, theirs in zip(model["detections"], expected, strict=False):
        assert ours["class"] == theirs["class"]
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-5)
        assert ours["box"] == pytest.approx(theirs["box"], abs=1e-4)
    assert model["milliseconds"] > 0

    (tmp_path / "bad.png").write_text("no picture")
    bad = client.predict(handle_file(tmp_path / "bad.png"), 0.3, 9, [], api_name="/detect")
    assert bad["error"].startswith("bad.png: not a readable picture")
    # A file of this machine that nobody uploaded is not read.
    payload = {"path": str(picture), "meta": {"_type": "gradio.FileData"}}
    body = json.dumps({"data": [payload, 0.3, 9, []]}).encode()
    call = f"{url}/gradio_api/call/detect"
    request = urllib.request.Request(call, body, {"Content-Type": "application/json"})
    event = json.load(direct.open(request, timeout=PATIENCE))["event_id"]
    assert "was not uploaded" in direct.open(f"{call}/{event}", timeout=PATIENCE).read().decode()

    client.close()
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 130
    assert rest.endswith("run.sh demo: interrupted\n")
    assert time.monotonic() - begin < 20
    # Pictures that were dropped do not stay behind.
    assert list(tmp_path.glob("demo-*")) == []
