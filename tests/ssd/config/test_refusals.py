"""What is refused, and how it is said."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ssd.config import harmless, messages, obeyed, overrides, pipeline
from ssd.config.messages import TrainEvalPipelineConfig, fields_by_path, is_message
from ssd.config.refusals import Refusal, place, refusals
from ssd.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
ZOO = ROOT / "pipeline_configs/ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8.config"
SSD = "model.ssd"
HYPER = f"{SSD}.feature_extractor.conv_hyperparams"
HEAD = f"{SSD}.box_predictor.weight_shared_convolutional_box_predictor"
NMS = f"{SSD}.post_processing.batch_non_max_suppression"
COSINE = "train_config.optimizer.momentum_optimizer.learning_rate.cosine_decay_learning_rate"


def refused(*settings: str) -> dict[str, str]:
    """Path -> reason of what is refused in the zoo's config after the settings."""
    loaded = pipeline.load(ZOO, settings)
    return {refusal.path: refusal.why for refusal in loaded.refusals()}


def cleared(path: str) -> dict[str, str]:
    """Path -> reason of what is refused in the zoo's config without one setting."""
    message = pipeline.load(ZOO).message
    section = message
    *steps, name = path.split(".")
    for step in steps:
        section = getattr(section, step)
    section.ClearField(name)
    return {refusal.path: refusal.why for refusal in refusals(message)}


def test_the_zoo_config_is_obeyed() -> None:
    assert refused() == {}


@pytest.mark.parametrize(
    "name",
    [
        "oracle/ssd_mobilenet_v2_fpnlite_320x320",
        "oracle/fpnlite_320_narrow",
        "oracle/real_zoo_index",
        "checkpoints/ssd_mobilenet_v2_fpnlite_050_224_coco80",
    ],
)
def test_recorded_configs_of_the_model_are_obeyed(shared: Path, name: str) -> None:
    assert pipeline.load(shared / name / "pipeline.config").refusals() == []


ACCEPTED = [
    f"{SSD}.image_resizer.fixed_shape_resizer.height=96",
    f"{SSD}.feature_extractor.use_depthwise=false",
    f"{SSD}.feature_extractor.depth_multiplier=0.35",
    f"{SSD}.normalize_loss_by_num_matches=false",
    f"{SSD}.normalize_loc_loss_by_codesize=false",
    f"{SSD}.freeze_batchnorm=true",
    f"{SSD}.inplace_batchnorm_update=false",
    f"{SSD}.negative_class_weight=1.0",
    f"{SSD}.loss.localization_loss.weighted_smooth_l1.delta=0.5",
    f"{SSD}.box_coder.faster_rcnn_box_coder.y_scale=1",
    f"{HEAD}.share_prediction_tower=false",
    f"{HEAD}.use_depthwise=false",
    f"{HEAD}.use_dropout=false",
    f"{HEAD}.dropout_keep_probability=0.5",
    f"{HYPER}.initializer.truncated_normal_initializer.stddev=0.03",
    f"{HYPER}.initializer.variance_scaling_initializer={{ factor: 1 uniform: true mode: FAN_AVG }}",
    f"{HYPER}.regularizer.l2_regularizer.weight=0",
    f"{NMS}.change_coordinate_frame=false",
    f"{NMS}.use_static_shapes=false",
    "train_config.optimizer.momentum_optimizer.learning_rate={ constant_learning_rate {} }",
    "train_config.optimizer.momentum_optimizer.learning_rate={ manual_step_learning_rate "
    "{ schedule { step: 5 } schedule { step: 9 } warmup: true } }",
    "train_config.optimizer.momentum_optimizer.learning_rate={ exponential_decay_learning_rate "
    "{ decay_steps: 700 } }",
    "train_config.gradient_clipping_by_norm=10",
    "train_config.fine_tune_checkpoint_type=full",
    "train_config.data_augmentation_options={ ssd_random_crop { operations "
    "{ min_object_covered: 0.3 min_area: 0.1 max_area: 1 min_aspect_ratio: 0.5 "
    "max_aspect_ratio: 2 overlap_thresh: 0.3 } } }",
    "train_input_reader.shuffle=false",
    "train_input_reader.num_readers=8",
    "eval_config.batch_size=8",
    "eval_config.num_examples=8000",
    "eval_config.use_moving_averages=false",
    "eval_input_reader[0].num_epochs=2",
]


@pytest.mark.parametrize("setting", ACCEPTED)
def test_accepted(setting: str) -> None:
    assert refused(setting) == {}


REFUSED = {
    f"{SSD}.feature_extractor.type=ssd_mobilenet_v1_fpn_keras": (
        f"{SSD}.feature_extractor.type",
        "ssd_mobilenet_v1_fpn_keras is not supported; supported: ssd_mobilenet_v2_fpn_keras.",
    ),
    f"{SSD}.feature_extractor.override_base_feature_extractor_hyperparams=false": (
        f"{SSD}.feature_extractor.override_base_feature_extractor_hyperparams",
        "false is not supported; supported: true. With false the backbone would not follow",
    ),
    f"{SSD}.feature_extractor.pad_to_multiple=32": (
        f"{SSD}.feature_extractor.pad_to_multiple",
        "32 is not supported; supported: 1 (the default).",
    ),
    f"{SSD}.feature_extractor.bifpn={{}}": (
        f"{SSD}.feature_extractor.bifpn",
        "not supported; supported: fpn.",
    ),
    f"{SSD}.feature_extractor.fpn.min_level=6": (
        f"{SSD}.feature_extractor.fpn.min_level",
        "6 is not supported; supported: 2 to 5.",
    ),
    f"{HYPER}.activation=SWISH": (
        f"{HYPER}.activation",
        "SWISH is not supported; supported: RELU_6.",
    ),
    f"{HYPER}.op=FC": (f"{HYPER}.op", "FC is not supported; supported: CONV."),
    f"{HYPER}.regularizer.l1_regularizer={{}}": (
        f"{HYPER}.regularizer.l1_regularizer",
        "not supported; supported: l2_regularizer.",
    ),
    f"{HYPER}.initializer.keras_initializer_by_name=zeros": (
        f"{HYPER}.initializer.keras_initializer_by_name",
        "not supported; supported: truncated_normal_initializer, variance_scaling_initializer",
    ),
    f"{HYPER}.sync_batch_norm={{}}": (
        f"{HYPER}.sync_batch_norm",
        "not supported; supported: batch_norm.",
    ),
    f"{HYPER}.batch_norm.center=false": (
        f"{HYPER}.batch_norm.center",
        "false is not supported; supported: true.",
    ),
    f"{HYPER}.force_use_bias=true": (
        f"{HYPER}.force_use_bias",
        "true is not supported; supported: false (the default).",
    ),
    f"{SSD}.image_resizer.fixed_shape_resizer.resize_method=AREA": (
        f"{SSD}.image_resizer.fixed_shape_resizer.resize_method",
        "AREA is not supported; supported: BILINEAR.",
    ),
    f"{SSD}.image_resizer.keep_aspect_ratio_resizer.min_dimension=300": (
        f"{SSD}.image_resizer.keep_aspect_ratio_resizer",
        "not supported; supported: fixed_shape_resizer.",
    ),
    f"{SSD}.box_coder.square_box_coder={{}}": (
        f"{SSD}.box_coder.square_box_coder",
        "not supported; supported: faster_rcnn_box_coder.",
    ),
    f"{HEAD}.use_dropout=true": (f"{HEAD}.use_dropout", "true is not supported; supported: false"),
    f"{HEAD}.box_encodings_clip_range={{ min: -1 max: 1 }}": (
        f"{HEAD}.box_encodings_clip_range",
        "not supported; remove it.",
    ),
    f"{NMS}.soft_nms_sigma=0.5": (f"{NMS}.soft_nms_sigma", "0.5 is not supported; supported: 0 ("),
    f"{NMS}.use_static_shapes=true": (f"{NMS}.use_static_shapes", "true is not supported"),
    f"{SSD}.post_processing.score_converter=SOFTMAX": (
        f"{SSD}.post_processing.score_converter",
        "SOFTMAX is not supported; supported: SIGMOID.",
    ),
    f"{SSD}.loss.hard_example_miner={{ num_hard_examples: 64 }}": (
        f"{SSD}.loss.hard_example_miner",
        "not supported; remove it and use weighted_sigmoid_focal, which weighs hard",
    ),
    f"{SSD}.loss.classification_loss.weighted_softmax={{}}": (
        f"{SSD}.loss.classification_loss.weighted_softmax",
        "not supported; supported: weighted_sigmoid_focal.",
    ),
    f"{SSD}.negative_class_weight=0.5": (
        f"{SSD}.negative_class_weight",
        "0.5 is not supported; supported: 1 (the default).",
    ),
    f"{SSD}.num_classes=0": (f"{SSD}.num_classes", "0 is not supported; supported: 1 or more."),
    "train_config.optimizer.use_moving_average=true": (
        "train_config.optimizer.use_moving_average",
        "true is not supported; supported: false. Set use_moving_average: false;",
    ),
    "train_config.optimizer.adam_optimizer={}": (
        "train_config.optimizer.adam_optimizer",
        "not supported; supported: momentum_optimizer.",
    ),
    "train_config.fine_tune_checkpoint_type=fine_tune": (
        "train_config.fine_tune_checkpoint_type",
        'fine_tune is not supported; supported: "", classification, detection, full.',
    ),
    "train_config.fine_tune_checkpoint_version=V1": (
        "train_config.fine_tune_checkpoint_version",
        "V1; only V2 checkpoints can be restored. Set fine_tune_checkpoint_version: V2.",
    ),
    "train_config.freeze_variables=Conv": (
        "train_config.freeze_variables",
        "not supported; the original ignores it under TF2",
    ),
    "train_config.bias_grad_multiplier=2": (
        "train_config.bias_grad_multiplier",
        "not supported; the original ignores it under TF2. Remove it.",
    ),
    "train_config.data_augmentation_options[2]={}": (
        "train_config.data_augmentation_options[2]",
        "needs one of: random_horizontal_flip, random_crop_image, ssd_random_crop.",
    ),
    "train_config.data_augmentation_options[1]={ random_rotation90 {} }": (
        "train_config.data_augmentation_options[1].random_rotation90",
        "not supported; supported: random_horizontal_flip, random_crop_image, ssd_random_crop.",
    ),
    "train_config.num_steps=0": ("train_config.num_steps", "0 is not supported; supported: 1 or"),
    "train_input_reader.num_epochs=3": (
        "train_input_reader.num_epochs",
        "3 is not supported; supported: 0. num_steps says how long training goes on.",
    ),
    "train_input_reader.load_instance_masks=true": (
        "train_input_reader.load_instance_masks",
        "true is not supported; supported: false (the default).",
    ),
    "train_input_reader.external_input_reader={}": (
        "train_input_reader.external_input_reader",
        "not supported; supported: tf_record_input_reader.",
    ),
    "eval_input_reader[0].sample_1_of_n_examples=10": (
        "eval_input_reader[0].sample_1_of_n_examples",
        "10 is not supported; supported: 1.",
    ),
    "eval_config.metrics_set=pascal_voc_detection_metrics": (
        "eval_config.metrics_set[0]",
        "pascal_voc_detection_metrics is not supported; supported: coco_detection_metrics.",
    ),
    'eval_config.super_categories={ key: "a" value: "b" }': (
        "eval_config.super_categories",
        "not supported; remove it.",
    ),
    "graph_rewriter={ quantization {} }": (
        "graph_rewriter",
        "quantization-aware training is not supported; remove it: export-tflite quantizes",
    ),
}


@pytest.mark.parametrize("setting", REFUSED)
def test_refused_by_the_name_of_the_one_setting(setting: str) -> None:
    path, why = REFUSED[setting]
    found = refused(setting)
    assert path in found, found
    assert found[path].startswith(why)
    # Levels of the pyramid and of the anchors belong together; nothing else draws in another.
    assert len(found) == 1 or "fpn" in setting


UNSET = {
    f"{SSD}.encode_background_as_zeros": "not set, and the default false is not supported; suppo",
    f"{SSD}.feature_extractor.override_base_feature_extractor_hyperparams": "not set, and the def",
    f"{SSD}.num_classes": "not set; give a value (1 or more).",
    f"{SSD}.feature_extractor.type": "not set; give a value (ssd_mobilenet_v2_fpn_keras).",
    f"{SSD}.post_processing.score_converter": "not set, and the default IDENTITY is not supported",
    f"{HYPER}.activation": "not set, and the default RELU is not supported; supported: RELU_6.",
    f"{HYPER}.batch_norm.scale": "not set, and the default false is not supported; supported: tr",
    f"{HYPER}.regularizer": "missing, and nothing can stand in for it; add it.",
    f"{HEAD}.depth": "not set, and the default 0 is not supported; supported: 1 or more.",
    f"{SSD}.similarity_calculator": "missing, and nothing can stand in for it; add it.",
    f"{SSD}.anchor_generator.multiscale_anchor_generator.aspect_ratios": "missing, and nothing",
    "train_config.optimizer": "missing, and nothing can stand in for it; add it.",
    "train_config.optimizer.use_moving_average": "not set, and the default true is not supported",
    "train_config.fine_tune_checkpoint_version": "not set, and the default is V1; only V2",
    "model": "missing, and nothing can stand in for it; add it.",
    "train_config": "missing, and nothing can stand in for it; add it.",
}


@pytest.mark.parametrize("path", UNSET)
def test_a_missing_setting_is_refused_where_its_default_would_be(path: str) -> None:
    found = cleared(path)
    assert list(found) == [path]
    assert found[path].startswith(UNSET[path])


MAY_BE_MISSING = [
    f"{SSD}.feature_extractor.fpn.min_level",
    f"{SSD}.matcher.argmax_matcher.matched_threshold",
    f"{SSD}.box_coder.faster_rcnn_box_coder.y_scale",
    f"{SSD}.loss.classification_loss.weighted_sigmoid_focal.alpha",
    f"{SSD}.post_processing.batch_non_max_suppression",
    "train_config.data_augmentation_options",
    "train_config.fine_tune_checkpoint_type",
    "train_input_reader",
    "eval_config",
    "eval_input_reader",
]


@pytest.mark.parametrize("path", MAY_BE_MISSING)
def test_settings_with_an_accepted_default_may_be_missing(path: str) -> None:
    assert cleared(path) == {}


@pytest.mark.parametrize("kind", ["box_coder", "matcher", "anchor_generator", "box_predictor"])
def test_an_empty_section_needs_an_alternative(kind: str) -> None:
    found = refused(f"{SSD}.{kind}={{}}")
    assert list(found) == [f"{SSD}.{kind}"]
    assert found[f"{SSD}.{kind}"].startswith("needs one of: ")


@pytest.mark.parametrize("model", ["faster_rcnn", "center_net", "experimental_model"])
def test_another_model_is_one_refusal(model: str) -> None:
    assert refused(f"model.{model}={{}}") == {f"model.{model}": "not supported; supported: ssd."}


TOGETHER = {
    (f"{SSD}.image_resizer.fixed_shape_resizer.width=300",): (
        # 300 / 8 = 37.5, / 16 = 18.75, / 32 = 9.4, all rounded up; 2 x 10 is 20, not 19.
        f"{SSD}.image_resizer.fixed_shape_resizer.width",
        "300 gives feature maps of 38, 19, 10, which do not double .* 32, such as 320",
    ),
    (f"{SSD}.image_resizer.fixed_shape_resizer.height=32",): (
        f"{SSD}.image_resizer.fixed_shape_resizer.height",
        "32 is too small; 33 or more is needed",
    ),
    (f"{SSD}.feature_extractor.fpn.max_level=6",): (
        f"{SSD}.anchor_generator.multiscale_anchor_generator.max_level",
        r"7, but feature_extractor\.fpn\.max_level is 6; every feature map needs its anchors",
    ),
    (f"{SSD}.matcher.argmax_matcher.unmatched_threshold=0.6",): (
        f"{SSD}.matcher.argmax_matcher.unmatched_threshold",
        r"0\.6 is above matched_threshold 0\.5",
    ),
    (f"{SSD}.matcher.argmax_matcher.negatives_lower_than_unmatched=false",): (
        f"{SSD}.matcher.argmax_matcher.negatives_lower_than_unmatched",
        "false needs unmatched_threshold below matched_threshold; they are equal",
    ),
    (f"{NMS}.max_total_detections=50",): (
        f"{NMS}.max_detections_per_class",
        "100 is above max_total_detections 50",
    ),
    ("train_config.max_number_of_boxes=250",): (
        "train_config.max_number_of_boxes",
        r"250 has no effect: train_input_reader\.max_number_of_boxes \(100\) limits the boxes",
    ),
    (f"{COSINE}.total_steps=800",): (
        f"{COSINE}.warmup_steps",
        "1000 is above total_steps 800",
    ),
    (f"{COSINE}.learning_rate_base=0.01",): (
        f"{COSINE}.warmup_learning_rate",
        r"0\.026666 is above learning_rate_base 0\.01",
    ),
    (
        "train_config.optimizer.momentum_optimizer.learning_rate={ manual_step_learning_rate "
        "{ schedule { step: 9 } schedule { step: 9 } } }",
    ): (
        "train_config.optimizer.momentum_optimizer.learning_rate.manual_step_learning_rate"
        ".schedule[1].step",
        "9 does not come after step 9",
    ),
    (
        "train_config.optimizer.momentum_optimizer.learning_rate={ manual_step_learning_rate "
        "{ schedule { step: 0 } warmup: true } }",
    ): (
        "train_config.optimizer.momentum_optimizer.learning_rate.manual_step_learning_rate"
        ".schedule[0].step",
        "0 leaves no steps for the warm-up",
    ),
    ("train_config.data_augmentation_options[1].random_crop_image.max_area=0.5",): (
        "train_config.data_augmentation_options[1].random_crop_image.min_area",
        r"0\.75 is above max_area 0\.5",
    ),
    ("eval_input_reader[1].shuffle=false",): (
        "eval_input_reader[1]",
        "only one eval_input_reader is supported; remove it",
    ),
}


@pytest.mark.parametrize("settings", TOGETHER, ids=[settings[0] for settings in TOGETHER])
def test_settings_must_fit_together(settings: tuple[str, ...]) -> None:
    path, why = TOGETHER[settings]
    found = pipeline.load(ZOO, settings).refusals()
    assert [refusal.path for refusal in found] == [path]
    with pytest.raises(InputError, match=why):
        pipeline.require_obeyed(pipeline.load(ZOO, settings))


def test_the_default_of_a_setting_without_effect_is_not_held_against_a_person() -> None:
    message = pipeline.load(ZOO, ["train_input_reader.max_number_of_boxes=50"]).message
    message.train_config.ClearField("max_number_of_boxes")
    assert refusals(message) == []


@pytest.mark.parametrize(("height", "is_fine"), [(64, True), (96, True), (160, True), (100, False)])
def test_image_sizes(height: int, is_fine: bool) -> None:
    # 100: 13, 7, 4 at strides 8, 16, 32.
    path = f"{SSD}.image_resizer.fixed_shape_resizer.height"
    assert (refused(f"{path}={height}") == {}) is is_fine


def test_lines_are_those_of_the_setting_or_of_the_section_around_it(tmp_path: Path) -> None:
    text = ZOO.read_text(encoding="utf-8")
    file = tmp_path / "pipeline.config"
    file.write_text(text.replace("use_moving_average: false", "").replace("SIGMOID", "SOFTMAX"))
    lines = file.read_text().splitlines()
    optimizer = lines.index("  optimizer {") + 1
    converter = lines.index("      score_converter: SOFTMAX") + 1
    found = {refusal.path: refusal.line for refusal in pipeline.load(file).refusals()}
    assert found == {
        "model.ssd.post_processing.score_converter": converter,
        "train_config.optimizer.use_moving_average": optimizer,
    }


def test_refusals_come_in_the_order_of_their_lines(shared: Path) -> None:
    folder = shared / "data/pipeline_configs_in_the_wild"
    found = pipeline.load(folder / "datitran__raccoon_dataset__1.config").refusals()
    lines = [refusal.line for refusal in found]
    assert len(lines) > 3
    assert lines == sorted(line for line in lines if line is not None)


def test_an_override_has_no_line_and_is_named() -> None:
    setting = "train_config.optimizer={ adam_optimizer {} }"
    found = pipeline.load(ZOO, [setting]).refusals()
    assert {(refusal.line, refusal.override) for refusal in found} == {(None, setting)}
    assert (
        found[0]
        .message("p.config")
        .startswith(
            f"--set {setting}: train_config.optimizer.adam_optimizer: not supported; supported: mom"
        )
    )
    setting = "model.ssd.encode_background_as_zeros=false"
    said = pipeline.load(ZOO, [setting]).refusals()[0].message("p.config")
    assert said.startswith(f"--set {setting}: false is not supported; supported: true.")


def test_places() -> None:
    positions = {"a": 1, "a.b": 2, "a.b[0]": 2, "a.b[1]": 5, "a.b[1].c": 6}
    assert place("a.b[1].c", "why", positions) == Refusal(6, "a.b[1].c", "why")
    assert place("a.b[1].d", "why", positions).line == 5
    assert place("a.b[7].d", "why", positions).line == 2
    assert place("x.y", "why", positions).line is None
    # What an override replaced has no line any more, even where the file once set it.
    replaced = place("a.b[1].c", "why", positions, {"a.b": "a.b=[{}]"})
    assert (replaced.line, replaced.override) == (None, "a.b=[{}]")
    around = place("a.b[2]", "why", positions, {"a.b[2].c": "a.b[2].c=3"})
    assert (around.line, around.override) == (None, "a.b[2].c=3")


def test_without_positions_there_are_no_lines() -> None:
    message = pipeline.load(ZOO).message
    message.model.ssd.add_background_class = False
    found = refusals(message)
    assert [(refusal.line, refusal.path) for refusal in found] == [
        (None, "model.ssd.add_background_class")
    ]
    assert found[0].message("p.config").startswith("p.config: model.ssd.add_background_class: ")


def test_the_config_is_left_alone() -> None:
    loaded = pipeline.load(ZOO)
    before = loaded.message.SerializeToString()
    loaded.refusals()
    assert loaded.message.SerializeToString() == before


def test_tables_name_fields_of_the_schema_only() -> None:
    paths = {path for path, _ in fields_by_path(TrainEvalPipelineConfig.DESCRIPTOR)}
    for table in (obeyed.OBEYED, obeyed.REQUIRED, harmless.HARMLESS, harmless.REFUSED):
        assert set(table) <= paths
    oneofs = {
        f"{name}.{oneof.name}"
        for name in messages.read_schema()["messages"]
        for oneof in messages.message_class(name).DESCRIPTOR.oneofs
    }
    assert oneofs >= obeyed.OPTIONAL_ONEOFS


def test_tables_do_not_overlap_and_leave_no_gap() -> None:
    assert not set(obeyed.OBEYED) & set(harmless.HARMLESS)
    assert not set(obeyed.OBEYED) & set(harmless.REFUSED)
    for path in obeyed.OBEYED:
        section = path.rpartition(".")[0]
        assert not section or section in obeyed.OBEYED, path


def test_no_field_is_ignored() -> None:
    """Every field of the schema, set to something else than its default, is accounted for."""
    for path, field in fields_by_path(TrainEvalPipelineConfig.DESCRIPTOR):
        if is_message(field) or path in obeyed.OBEYED or path in harmless.HARMLESS:
            continue
        if path.rpartition(".")[0] not in obeyed.OBEYED or field.containing_oneof:
            continue
        config = TrainEvalPipelineConfig()
        overrides.apply(config, f"{_with_indices(path)}={_other_value(field)}")
        found = {refusal.path for refusal in refusals(config)}
        assert any(_without_indices(refusal) == path for refusal in found), path


def _with_indices(path: str) -> str:
    """Puts [0] behind every list on the way, the last step left out."""
    descriptor = TrainEvalPipelineConfig.DESCRIPTOR
    steps = []
    for step in path.split("."):
        field = descriptor.fields_by_name[step]
        steps.append(f"{step}[0]" if messages.is_repeated(field) and is_message(field) else step)
        descriptor = field.message_type
    return ".".join(steps)


def _without_indices(path: str) -> str:
    return path.replace("[0]", "")


def _other_value(field: Any) -> str:
    if messages.is_repeated(field):
        return "1"
    if field.enum_type is not None:
        names = [value.name for value in field.enum_type.values]
        return next(name for name in names if field.default_value != names.index(name))
    if isinstance(field.default_value, bool):
        return str(not field.default_value).lower()
    return "x" if isinstance(field.default_value, str) else "7"


def test_every_config_in_the_wild_is_obeyed_or_refused_by_line(shared: Path) -> None:
    files = sorted((shared / "data/pipeline_configs_in_the_wild").glob("*.config"))
    counts: Counter[str] = Counter()
    messages_with_line = 0
    for file in files:
        try:
            found = pipeline.load(file).refusals()
        except InputError as error:
            counts["not readable"] += 1
            messages_with_line += str(error).startswith(f"{file}:{getattr(error, 'line', None)}: ")
            continue
        counts["refused" if found else "obeyed"] += 1
        for refusal in found:
            assert dataclasses.asdict(refusal)["line"] >= 1, refusal
            assert refusal.path, refusal
            assert refusal.why.endswith((".", ")")), refusal
    # The five: no value, an extension, a field TF2 dropped, and two with two alternatives at once.
    assert counts["not readable"] == messages_with_line == 5
    assert counts["obeyed"] >= 13
    assert counts.total() == 110
