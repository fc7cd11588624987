from __future__ import annotations

import pytest

from ssd.errors import InputError
from ssd.model_maker import model_spec, object_detector
from ssd.model_maker.specs import EfficientDetSpec

HUB = "https://tfhub.dev/tensorflow/efficientdet/lite0/feature-vector/1"
SIZE = "model.ssd.image_resizer.fixed_shape_resizer"


@pytest.mark.parametrize(
    ("level", "side", "config"),
    [(0, 320, 320), (1, 384, 320), (2, 448, 320), (3, 512, 640), (4, 640, 640)],
)
def test_which_model_answers(level, side, config, capsys):
    spec = model_spec.get(f"efficientdet_lite{level}")
    name = f"ssd_mobilenet_v2_fpnlite_{config}x{config}_coco17_tpu-8"
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"efficientdet_lite{level}: {name} at {side}x{side} is taken, since")
    assert spec.config_path.stem == name
    assert spec.config_overrides(4) == [
        "model.ssd.num_classes=4",
        f"{SIZE}.height={side}",
        f"{SIZE}.width={side}",
    ]


def test_model_makers_defaults():
    spec = object_detector.EfficientDetLite2Spec(uri=HUB)
    assert (spec.epochs, spec.tflite_max_detections, spec.tf_random_seed) == (50, 25, 111111)
    assert (spec.batch_size, spec.config.freezes_backbone) == (None, True)
    assert spec.config.var_freeze_expr == "(efficientnet|fpn_cells|resample_p6)"


def test_get_takes_a_specification_and_its_maker():
    spec = model_spec.get("small_data", checkpoint="none")
    assert model_spec.get(spec) is spec
    assert model_spec.get(object_detector.EfficientDetLite0Spec, epochs=3).epochs == 3
    with pytest.raises(InputError, match="epochs: the specification is made already"):
        model_spec.get(spec, epochs=3)


def test_names_of_the_kit_say_nothing(capsys):
    assert model_spec.get("demo").config_path.stem == "demo"
    assert model_spec.get("demo").config_overrides(3) == ["model.ssd.num_classes=3"]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "hparams",
    [
        {"learning_rate": 0.02, "image_size": (128, 192), "num_epochs": 7},
        "learning_rate=0.02, image_size=192x128,num_epochs=7",
        "FILE",
    ],
    ids=["dict", "text", "yaml"],
)
def test_forms_of_hparams(hparams, tmp_path):
    if hparams == "FILE":
        (tmp_path / "h.yaml").write_text(
            "learning_rate: 0.02\nimage_size: 192x128\nnum_epochs: 7\n"
        )
        hparams = str(tmp_path / "h.yaml")
    spec = model_spec.get("efficientdet_lite1", hparams=hparams)
    assert (spec.config.learning_rate, spec.epochs) == (0.02, 7)
    assert spec.config_overrides(2)[1:] == [f"{SIZE}.height=128", f"{SIZE}.width=192"]


def test_settings_changed_afterwards():
    spec = model_spec.get("demo", overrides=["model.ssd.freeze_batchnorm=true"])
    spec.config.var_freeze_expr = "efficientnet"
    assert spec.config.freezes_backbone
    spec.config.var_freeze_expr = None
    assert not spec.config.freezes_backbone
    spec.config.override({"max_instances_per_image": 8000, "batch_size": 4})
    assert spec.batch_size == 4
    assert spec.config_overrides(2)[1:] == [
        "train_input_reader.max_number_of_boxes=8000",
        "model.ssd.freeze_batchnorm=true",
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model_name": "mobilenet_v2"}, "model_spec 'mobilenet_v2': efficientdet_lite0 to"),
        ({"uri": "models/mine"}, "uri='models/mine': no SSD model starts from it; checkpoint="),
        ({"strategy": "tpu"}, "strategy='tpu': None or 'gpus'"),
        ({"tpu": "node-1"}, "tpu='node-1': training on a TPU"),
        ({"use_xla": True}, "use_xla=True: XLA is slower"),
        ({"profile": True}, "profile=True: `tensorboard --logdir RUN`"),
        ({"debug": True}, "debug=True: a step runs as one"),
        ({"tflite_max_detections": 0}, "tflite_max_detections=0: 1 or more"),
        ({"var_freeze_expr": "box_net"}, "var_freeze_expr='box_net': names variables of"),
        ({"quantization_config": 1}, r"quantization_config=1: no argument of .* into export\(\)"),
        ({"hparams": "learning_rat=1"}, "learning_rat=1: did you mean learning_rate?"),
        ({"hparams": "learning_rate=0"}, "learning_rate='0': a number above 0"),
        ({"hparams": "image_size=3.5"}, "image_size='3.5': invalid literal"),
        ({"hparams": {"max_instances_per_image": 20}}, "=20: a whole number of 100 or more"),
        ({"hparams": {"moving_average_decay": 1}}, "moving_average_decay=1: a number from 0"),
        ({"hparams": "grad_checkpoint"}, "'grad_checkpoint': name=value, a dict or"),
        ({"hparams": "none.yaml"}, "none.yaml: No such file"),
        ({"epochs": 0}, "num_epochs=0: a whole number of 1"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_would_be_ignored_is_refused(given, message, capsys):
    with pytest.raises(InputError, match=message):
        EfficientDetSpec(**{"model_name": "efficientdet_lite0", **given})
    assert capsys.readouterr().out == ""


def test_steps_per_execution_is_said_to_do_nothing(capsys):
    model_spec.get("demo", steps_per_execution=8)
    assert capsys.readouterr().out.startswith("steps_per_execution: does nothing here")
