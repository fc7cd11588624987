"""hub:HANDLE_OR_FOLDER: modules from a server on this computer, from folders and archives."""

from __future__ import annotations

import builtins
import functools
import http.server
import io
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from export.saved_model import export_saved_model
from ssd import checkpoint, hub
from ssd.config import pipeline
from ssd.errors import InputError
from ssd.predictor import load_predictor

PICTURE = np.random.default_rng(5).integers(0, 256, (1, 120, 200, 3), np.uint8)


class Detector(tf.Module):
    """The detection signature with one fixed box; COCO's 91 columns of scores."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = tf.Variable([0.0, 0.0])

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)])
    def __call__(self, image):
        height = tf.cast(tf.shape(image)[1], tf.float32) / 1000.0 + self.shift[0]
        return {
            "detection_boxes": tf.constant([[[0.1, 0.2, 0.5, 0.9]]]),
            "detection_scores": tf.reshape(height, [1, 1]),
            "detection_classes": tf.constant([[18.0]]),
            "num_detections": tf.constant([1.0]),
            "raw_detection_scores": tf.zeros([1, 7, 91]),
        }


class Features(tf.Module):
    """What an image classifier's features look like: no detections."""

    @tf.function(input_signature=[tf.TensorSpec([None, 224, 224, 3], tf.float32)])
    def __call__(self, images):
        return tf.reduce_mean(images, [1, 2])


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("module") / "saved_model"
    tf.saved_model.save(Detector(), str(path))
    return path


def packed(folder: Path) -> bytes:
    """As hub servers have it: members from the top, folders before what is in them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(folder, arcname=".")
    return buffer.getvalue()


class Server(http.server.BaseHTTPRequestHandler):
    """Path -> bytes, only for who asks for the compressed form; `cut` leaves the end away."""

    files: dict[str, bytes]
    asked: list[str]
    cut = 0
    states_length = True

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        self.asked.append(self.path)
        content = self.files.get(path)
        if content is None or "tf-hub-format=compressed" not in query:
            self.send_error(404)
            return
        self.send_response(200)
        if self.states_length:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) - self.cut])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(folder) -> Iterator[type[Server]]:
    """Serves the module as /tensorflow/tiny/1; `address` begins with http://127.0.0.1."""
    handler = type("Own", (Server,), {"files": {"/tensorflow/tiny/1": packed(folder)}, "asked": []})
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.address = f"hub:http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=functools.partial(httpd.serve_forever, 0.01), daemon=True)
    thread.start()
    yield handler
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "hub_cache"))
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "zoo_cache"))
    return tmp_path / "hub_cache"


def entries(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir()) if cache.is_dir() else []


class TestHandles:
    def test_it_is_downloaded_once(self, server, cache, capsys):
        handle = f"{server.address}/tensorflow/tiny/1"
        predictor = load_predictor(handle)
        found = predictor(PICTURE)
        assert found["detection_scores"][0, 0] == pytest.approx(0.12)
        assert found["detection_classes"].tolist() == [[18]]
        assert predictor.name == handle
        said = capsys.readouterr().err
        assert f"{handle}?tf-hub-format=compressed: downloading\n" in said
        assert f"{handle}: cached in {cache}/" in said
        assert "TFHUB_CACHE_DIR" not in said
        load_predictor(handle)
        assert len(server.asked) == 1
        assert "downloading" not in capsys.readouterr().err

    def test_without_the_variable_it_says_so(self, server, monkeypatch, tmp_path, capsys):
        monkeypatch.delenv("TFHUB_CACHE_DIR", raising=False)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        hub.load(f"{server.address}/tensorflow/tiny/1")
        said = capsys.readouterr().err
        assert f"cached in {tmp_path}/tfhub_modules/" in said
        assert "(TFHUB_CACHE_DIR names a lasting place)" in said

    def test_not_found(self, server, cache):
        message = r"/other/1: the server says 404 Not Found; check the handle and its version$"
        with pytest.raises(InputError, match=message):
            hub.load(f"{server.address}/other/1")
        assert entries(cache) == []

    def test_nobody_answers(self, cache):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with pytest.raises(
            InputError, match=r"/m/1: no connection \(Connection refused\); hub: ta"
        ):
            hub.load(f"hub:http://127.0.0.1:{port}/m/1")
        assert entries(cache) == []

    def test_silence(self, cache, monkeypatch):
        monkeypatch.setattr(hub, "SILENCE_SECONDS", 0.2)
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            with pytest.raises(InputError, match=r"timed out"):
                hub.load(f"hub:http://127.0.0.1:{silent.getsockname()[1]}/m/1")
        assert socket.getdefaulttimeout() is None

    @pytest.mark.parametrize("states_length", [True, False])
    @pytest.mark.parametrize("cut", [200, 1500, 0.5])
    def test_a_cut_download_leaves_nothing(self, server, cache, cut, states_length):
        whole = server.files["/tensorflow/tiny/1"]
        server.cut = cut if cut >= 1 else int(len(whole) * cut)
        server.states_length = states_length
        handle = f"{server.address}/tensorflow/tiny/1"
        said = "the download was cut off, [0-9]+ bytes are missing; " if states_length else "[^\n]+"
        with pytest.raises(InputError, match=rf"^hub:http://127.*/tiny/1: {said}"):
            hub.load(handle)
        assert [name for name in entries(cache) if not name.endswith(".descriptor.txt")] == []
        server.cut = 0
        loaded, _ = hub.load(handle)
        assert loaded.signatures["serving_default"] is not None

    def test_a_page_instead_of_a_module(self, server, cache):
        server.files["/page/1"] = b"<!doctype html><title>Models</title>" + b" " * 20_000
        message = r"/page/1: what the server sent is no whole \.tar\.gz of a module; nothing was k"
        with pytest.raises(InputError, match=message):
            hub.load(f"{server.address}/page/1")
        assert entries(cache) == []

    def test_an_archive_of_something_else(self, server, cache, tmp_path):
        (tmp_path / "other").mkdir()
        (tmp_path / "other/model.tflite").write_bytes(b"TFL3")
        server.files["/lite/1"] = packed(tmp_path / "other")
        with pytest.raises(InputError, match=r"/lite/1: no saved_model\.pb in it; hub: takes an"):
            hub.load(f"{server.address}/lite/1")
        assert [name for name in entries(cache) if not name.endswith(".txt")] == []

    @pytest.mark.skipif(os.name != "posix", reason="locks of the dead are told on POSIX alone")
    def test_the_lock_of_a_killed_download_is_no_wait(self, server, cache):
        handle = f"{server.address}/tensorflow/tiny/1"
        hub.load(handle)
        (entry,) = [path for path in cache.iterdir() if path.is_dir()]
        shutil.rmtree(entry)
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        (cache / f"{entry.name}.lock").write_text(f"{socket.gethostname()}.{dead.pid}.abc")
        (cache / f"{entry.name}.abc.tmp").mkdir()
        others = cache / "other.lock"
        others.write_text(f"another-computer.{dead.pid}.abc")
        started = time.monotonic()
        hub.load(handle)
        assert time.monotonic() - started < 4.0  # tensorflow-hub looks again after 5 seconds
        assert not (cache / f"{entry.name}.abc.tmp").exists()
        assert others.exists()

    def test_a_live_download_keeps_its_lock(self, cache):
        cache.mkdir()
        lock = cache / "x.lock"
        lock.write_text(f"{socket.gethostname()}.{os.getpid()}.abc")
        hub._drop_locks_of_the_dead(cache)
        assert lock.exists()


class TestFromDisk:
    @pytest.mark.parametrize("form", ["folder", "folder above", "archive", "archive of above"])
    def test_forms(self, folder, cache, tmp_path, form):
        path = tmp_path / "model.tar.gz"
        path.write_bytes(packed(folder if form == "archive" else folder.parent))
        given = {"folder": folder, "folder above": folder.parent}.get(form, path)
        found = load_predictor(f"hub:{given}")(PICTURE)
        assert found["detection_scores"][0, 0] == pytest.approx(0.12)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ("nowhere", r"^hub:nowhere: no such file or folder; hub: takes an https:// handle"),
            ("gs://bucket/m", r"^hub:gs://bucket/m: no such file or folder; hub: takes an https"),
            ("empty", r"^hub:empty: no saved_model\.pb in it; .*; a checkpoint is given without h"),
            ("a.jpg", r"^hub:a\.jpg: neither a folder nor an archive; hub: takes"),
            ("bad", r"^hub:bad: TensorFlow cannot load it \(.*pars.*\)$"),
            ("half", r"^hub:half: TensorFlow cannot load it \(.+\)$"),
            ("cut.tar.gz", r"^cut\.tar\.gz: not a whole tar archive"),
            ("", r"^hub:: no such file or folder"),
        ],
    )
    def test_nothing_to_load(self, folder, cache, in_temporary_folder, given, message):
        for name in ("empty", "bad"):
            Path(name).mkdir()
        Path("a.jpg").write_bytes(b"\xff\xd8")
        Path("bad/saved_model.pb").write_bytes(b"\xff\xfe nothing" * 9)
        shutil.copytree(folder, "half")
        for path in Path("half/variables").iterdir():
            path.unlink()
        Path("cut.tar.gz").write_bytes(packed(folder)[:900])
        with pytest.raises(InputError, match=message):
            load_predictor(f"hub:{given}")

    def test_an_address_without_the_prefix(self):
        with pytest.raises(
            InputError, match=r"^https://tfhub\.dev/x/1: an address is given as hub:"
        ):
            load_predictor("https://tfhub.dev/x/1")


class TestOtherModules:
    def save(self, path: Path, module: tf.Module, **signatures: object) -> str:
        tf.saved_model.save(module, str(path), signatures or None)
        return f"hub:{path}"

    def test_features(self, tmp_path):
        handle = self.save(tmp_path, Features())
        message = (
            r": it takes float32 \[\?, 224, 224, 3\] and gives output_0; "
            r"uint8 \[1, h, w, 3\] in and detection_boxes, .* were expected$"
        )
        with pytest.raises(InputError, match=message):
            load_predictor(handle)

    def test_several_inputs(self, tmp_path):
        module = tf.Module()
        specs = [tf.TensorSpec([1], tf.float16, "a"), tf.TensorSpec(None, tf.float32, "b")]
        two = tf.function(lambda a, b: {f"out_{n}": a for n in range(8)}, input_signature=specs)
        module.two = two
        handle = self.save(tmp_path, module, serving_default=two.get_concrete_function())
        message = (
            r"it takes float16 \[1\], float32 of any shape and gives out_0, out_1, out_2, out_3, "
            r"out_4, out_5, \.\.\.; uint8"
        )
        with pytest.raises(InputError, match=message):
            load_predictor(handle)

    def test_a_tf1_hub_module(self, tmp_path):
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            image = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3])
            inputs = {"images": tf.compat.v1.saved_model.build_tensor_info(image)}
            result = {"default": tf.compat.v1.saved_model.build_tensor_info(image * 2)}
            signature = tf.compat.v1.saved_model.build_signature_def(inputs, result, "predict")
            builder = tf.compat.v1.saved_model.Builder(str(tmp_path / "tf1"))
            builder.add_meta_graph_and_variables(session, [], {"default": signature})
            builder.save()
        (tmp_path / "tf1/tfhub_module.pb").write_bytes(b"\x08\x03")
        message = (
            r"a TF1 hub module has no serving_default signature \(signatures: default\); uint8"
        )
        with pytest.raises(InputError, match=message):
            load_predictor(f"hub:{tmp_path}/tf1")

    def test_boxes_in_pixels(self, tmp_path):
        module = Detector()
        inner = module.__call__

        @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8)])
        def in_pixels(image):
            found = dict(inner(image))
            return found | {"detection_boxes": found["detection_boxes"] * 512.0}

        module.in_pixels = in_pixels
        predictor = load_predictor(self.save(tmp_path, module, serving_default=in_pixels))
        with pytest.raises(InputError, match=r"gives boxes in pixels \(up to 461\); parts of the"):
            predictor(PICTURE)

    def test_only_a_call(self, tmp_path):
        module = Detector()
        keys = tf.function(lambda: {"keys": tf.constant(1)}, input_signature=[])
        module.keys = keys
        handle = self.save(tmp_path, module, keys=keys)
        found = load_predictor(handle)(PICTURE)
        assert found["detection_scores"][0, 0] == pytest.approx(0.12)

    def test_a_fixed_size(self, tmp_path):
        module = tf.Module()
        spec = tf.TensorSpec([1, 64, 96, 3], tf.uint8)
        seen = Detector()
        module.seen = seen
        fixed = tf.function(lambda images: seen(images), input_signature=[spec])
        module.fixed = fixed
        predictor = load_predictor(self.save(tmp_path, module, serving_default=fixed))
        assert predictor.image_size == (64, 96)
        found = predictor(np.full((1, 64, 96, 3), 254.6, np.float32))
        assert found["detection_scores"][0, 0] == pytest.approx(0.064)


class TestMissingPackages:
    @pytest.mark.parametrize(
        ("package", "mend"),
        [
            ("tensorflow_hub", r"tensorflow-hub~=0\.16\.1"),
            ("tf_keras", r"tf-keras>=2\.20,<2\.22"),
            ("pkg_resources", r"setuptools<82"),
        ],
    )
    def test_it_is_said_which(self, folder, monkeypatch, package, mend):
        real = builtins.__import__

        def without(name, *arguments, **named):
            if name.split(".")[0] == package:
                raise ModuleNotFoundError(f"No module named {package!r}", name=package)
            return real(name, *arguments, **named)

        def import_module(name):
            without(package if name == "tensorflow_hub" else name)

        monkeypatch.setattr(builtins, "__import__", without)
        monkeypatch.setattr(hub.importlib, "import_module", import_module)
        with pytest.raises(InputError, match=rf"needs the package {package}; .*{mend}"):
            hub.load(f"hub:{folder}")


INPUT_TYPES = (
    pytest.param("image_tensor", marks=pytest.mark.slow),
    pytest.param("float_image_tensor", marks=pytest.mark.slow),
    pytest.param("encoded_image_string_tensor", marks=pytest.mark.slow),
    pytest.param("tf_example", marks=pytest.mark.slow),
)


@pytest.mark.parametrize("input_type", INPUT_TYPES)
def test_our_exports(tiny_detector, tiny_config, tiny_label_map, tmp_path, input_type):
    """hub.load gives the checkpoint's detections, for each form of input."""
    import tensorflow_hub

    run, exported = tmp_path / "run", tmp_path / "saved_model"
    checkpoint.save(run / "best", tiny_detector, 5)
    pipeline.save(tiny_config, run / "pipeline.config")
    export_saved_model(tiny_detector, exported, label_map=tiny_label_map, input_type=input_type)
    # The checkpoint's detections on an original, resized inside as the export does it.
    expected = tiny_detector.detect(tf.constant(PICTURE[0]))
    encoded = tf.io.encode_png(PICTURE[0]).numpy()
    feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[encoded]))
    example = tf.train.Example(
        features=tf.train.Features(feature={"image/encoded": feature})
    ).SerializeToString()
    given = {
        "image_tensor": PICTURE,
        "float_image_tensor": PICTURE.astype(np.float32),
        "encoded_image_string_tensor": [encoded],
        "tf_example": [example],
    }[input_type]
    found = tensorflow_hub.load(str(exported))(tf.constant(given))
    for name in ("detection_boxes", "detection_scores"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-4)
    np.testing.assert_array_equal(found["detection_classes"], expected["detection_classes"] + 1.0)
    if input_type == "image_tensor":
        predictor = load_predictor(f"hub:{exported}")
        assert predictor.label_map.names == tiny_label_map.names
        again = predictor(PICTURE)
        np.testing.assert_allclose(again["detection_boxes"], expected["detection_boxes"], atol=1e-4)
        return
    message = r"it takes \w+ \[.*\] \(of this kit's exports, --input-type image_tensor is read\)"
    with pytest.raises(InputError, match=message):
        load_predictor(f"hub:{exported}")
