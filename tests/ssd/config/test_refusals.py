"""What is refused, and how it is said."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ssd.config import harmless, messages, obeyed, overrides, pipeline
from ssd.config.messages import TrainEvalPipelineConfig, fields_by_path, is_message
from ssd.config.obeyed_model import EXTRACTOR_TYPES
from ssd.config.refusals import Refusal, place, refusals
from ssd.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
ZOO = ROOT / "pipeline_configs/ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8.config"
SSD = "model.ssd"
HYPER = f"{SSD}.feature_extractor.conv_hyperparams"
HEAD = f"{SSD}.box_predictor.weight_shared_convolutional_box_predictor"
NMS = f"{SSD}.post_processing.batch_non_max_suppression"
TWO_IN_ONE = (
    r"92: train_config\.data_augmentation_options\[0\]\.random_horizontal_flip: line 87 sets "
)
# Of these only the first is of a model that is supported.
NOT_READABLE = {
    "Arkadian404__FruitsDetection__4.config": r"135: train_config\.batch_size: no value after the",
    "Arkadian404__FruitsDetection__5.config": r"18: \[\.\.\.\] names an extension",
    "microsoft__CameraTraps__1.config": TWO_IN_ONE,
    "microsoft__CameraTraps__3.config": TWO_IN_ONE,
}


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


CONVOLUTIONAL = (
    f"{SSD}.box_predictor={{ convolutional_box_predictor "
    "{ kernel_size: 3 use_depthwise: true } }"
)
LOSS, ANCHORS = f"{SSD}.loss", f"{SSD}.anchor_generator"
RATE = "train_config.optimizer.momentum_optimizer.learning_rate"
AUGMENT = "train_config.data_augmentation_options[1]"
CURVES = f"{SSD}.post_processing.calibration_config"
CURVE = "x_y_pair { x: 0 y: 0.25 } x_y_pair { x: 0.5 y: 0.75 }"

PER_LEVEL = (
    f"{SSD}.feature_extractor={{ type: 'ssd_mobilenet_v2_keras' conv_hyperparams "
    "{ regularizer { l1_regularizer {} } initializer { random_normal_initializer {} } "
    "batch_norm {} } }"
)
SIX_LAYERS = f"{ANCHORS}={{ ssd_anchor_generator {{ num_layers: 6 aspect_ratios: [1, 2, 0.5] }} }}"
GRIDS = 5 * "anchor_grid { base_sizes: 9 aspect_ratios: 1 height_stride: 8 width_stride: 8 } "

PAD_TO_32 = f"{SSD}.feature_extractor.pad_to_multiple=32"

STEPS = (
    "random_horizontal_flip {}",
    "random_vertical_flip { probability: 0.25 }",
    "random_rotation90 {}",
    "random_crop_image {}",
    "random_crop_pad_image { pad_color: [1, 2, 3] }",
    "random_crop_to_aspect_ratio { aspect_ratio: 1.5 }",
    "random_pad_image {}",
    "random_absolute_pad_image { max_height_padding: 9 max_width_padding: 7 }",
    "random_square_crop_by_scale { num_scales: 3 }",
    "random_scale_crop_and_pad_to_square { output_size: 320 }",
    "random_self_concat_image {}",
    "ssd_random_crop {}",
    "ssd_random_crop_pad {}",
    "ssd_random_crop_fixed_aspect_ratio { aspect_ratio: 1.5 }",
    "ssd_random_crop_pad_fixed_aspect_ratio { aspect_ratio: 1.5 }",
    "random_jitter_boxes { ratio: 0.1 jitter_mode: EXPAND }",
    "scale_boxes_to_pixel_coordinates {}",
    "drop_label_probabilistically { label: 2 drop_probability: 0.5 }",
    "remap_labels { original_labels: [2, 3] new_label: 1 }",
    "random_rgb_to_gray {}",
    "rgb_to_gray {}",
    "random_adjust_brightness {}",
    "random_adjust_contrast {}",
    "random_adjust_hue {}",
    "random_adjust_saturation {}",
    "random_distort_color { color_ordering: 1 }",
    "adjust_gamma {}",
    "normalize_image { original_maxval: 255 target_maxval: 1 }",
    "subtract_channel_mean { means: [1, 2, 3] }",
    "random_pixel_value_scale {}",
    "autoaugment_image { policy_name: 'v1' }",
    "random_jpeg_quality { random_coef: 0.5 }",
    "random_downscale_to_target_pixels {}",
    "random_patch_gaussian {}",
    "random_black_patches {}",
    "resize_image { new_height: 60 new_width: 80 method: AREA }",
    "random_resize_method { target_height: 60 target_width: 80 }",
    "random_image_scale {}",
)

ACCEPTED = [
    f"{SSD}.image_resizer.fixed_shape_resizer.height=96",
    f"{SSD}.image_resizer.fixed_shape_resizer.resize_method=AREA",
    f"{SSD}.image_resizer={{ keep_aspect_ratio_resizer {{ min_dimension: 320 max_dimension: 320 "
    "pad_to_max_dimension: true per_channel_pad_value: [1, 2, 3] } }",
    f"{SSD}.image_resizer={{ pad_to_multiple_resizer {{ multiple: 32 }} }}",
    (f"{SSD}.image_resizer={{ identity_resizer {{}} }}", PAD_TO_32),
    (
        f"{SSD}.image_resizer={{ conditional_shape_resizer {{ condition: GREATER "
        "size_threshold: 320 resize_method: BICUBIC } }",
        PAD_TO_32,
    ),
    f"{SSD}.feature_extractor.use_depthwise=false",
    f"{SSD}.feature_extractor.depth_multiplier=0.35",
    f"{SSD}.feature_extractor.override_base_feature_extractor_hyperparams=false",
    f"{SSD}.feature_extractor.pad_to_multiple=32",
    f"{SSD}.feature_extractor.type=ssd_mobilenet_v1_fpn_keras",
    f"{SSD}.feature_extractor.type=ssd_mobilenet_v2_fpn",
    f"{SSD}.feature_extractor.batch_norm_trainable=true",
    f"{SSD}.normalize_loss_by_num_matches=false",
    f"{SSD}.freeze_batchnorm=true",
    f"{SSD}.inplace_batchnorm_update=false",
    f"{SSD}.negative_class_weight=0.5",
    f"{SSD}.encode_background_as_zeros=false",
    f"{SSD}.add_background_class=false",
    f"{SSD}.use_confidences_as_targets=true",
    f"{LOSS}.localization_loss.weighted_smooth_l1.delta=0.5",
    *(
        f"{LOSS}.localization_loss={{ {kind} {{}} }}"
        for kind in ("weighted_l2", "weighted_iou", "weighted_giou", "l1_localization_loss")
    ),
    *(
        f"{LOSS}.classification_loss={{ {kind} {{}} }}"
        for kind in (
            "weighted_sigmoid",
            "weighted_softmax",
            "weighted_logits_softmax",
            "penalty_reduced_logistic_focal_loss",
            "weighted_dice_classification_loss",
        )
    ),
    f"{LOSS}.classification_loss={{ bootstrapped_sigmoid {{ alpha: 0.5 }} }}",
    f"{LOSS}.expected_loss_weights=EXPECTED_SAMPLING",
    f"{LOSS}.random_example_sampler={{ positive_sample_fraction: 0.25 }}",
    f"{SSD}.box_coder.faster_rcnn_box_coder.y_scale=1",
    f"{SSD}.box_coder={{ mean_stddev_box_coder {{}} }}",
    (f"{SSD}.box_coder={{ square_box_coder {{}} }}", f"{HEAD}.box_code_size=3"),
    f"{SSD}.matcher={{ bipartite_matcher {{}} }}",
    *(
        f"{SSD}.similarity_calculator={{ {kind} {{}} }}"
        for kind in ("neg_sq_dist_similarity", "ioa_similarity", "thresholded_iou_similarity")
    ),
    CONVOLUTIONAL,
    (PER_LEVEL, SIX_LAYERS, CONVOLUTIONAL),
    (
        f"{ANCHORS}={{ grid_anchor_generator {{ scales: 1 aspect_ratios: 1 }} }}",
        f"{SSD}.feature_extractor.fpn.max_level=3",
    ),
    f"{ANCHORS}={{ flexible_grid_anchor_generator {{ {GRIDS} }} }}",
    f"{HEAD}.share_prediction_tower=false",
    f"{HEAD}.use_dropout=true",
    f"{HEAD}.score_converter=SIGMOID",
    f"{HEAD}.box_encodings_clip_range={{ min: -1 max: 1 }}",
    f"{HYPER}.activation=SWISH",
    f"{HYPER}.regularizer={{ l1_regularizer {{}} }}",
    f"{HYPER}.initializer={{ keras_initializer_by_name: 'zeros' }}",
    f"{HYPER}.initializer={{ truncated_normal_initializer {{ stddev: 0.03 }} }}",
    f"{HYPER}.initializer={{ variance_scaling_initializer {{ factor: 1 mode: FAN_AVG }} }}",
    f"{HYPER}.sync_batch_norm={{}}",
    f"{HYPER}.group_norm={{}}",
    f"{HYPER}.force_use_bias=true",
    f"{NMS}.change_coordinate_frame=false",
    f"{NMS}.use_static_shapes=true",
    f"{NMS}.soft_nms_sigma=0.5",
    f"{NMS}.use_class_agnostic_nms=true",
    f"{SSD}.post_processing.score_converter=SOFTMAX",
    f"{CURVES}={{ temperature_scaling_calibration {{ scaler: 2 }} }}",
    f"{CURVES}={{ function_approximation {{ x_y_pairs {{ {CURVE} }} }} }}",
    f"{CURVES}={{ class_id_function_approximations {{ "
    f"class_id_xy_pairs_map {{ key: 2 value {{ {CURVE} }} }} "
    f"class_id_xy_pairs_map {{ key: 90 value {{ {CURVE} }} }} }} }}",
    f"{RATE}={{ constant_learning_rate {{}} }}",
    f"{RATE}={{ manual_step_learning_rate {{ schedule {{ step: 5 }} schedule {{ step: 9 }} "
    "warmup: true } }",
    f"{RATE}={{ exponential_decay_learning_rate {{ decay_steps: 700 }} }}",
    "train_config.optimizer.use_moving_average=true",
    "train_config.optimizer={ adam_optimizer { learning_rate { constant_learning_rate {} } } }",
    "train_config.optimizer={ rms_prop_optimizer { learning_rate { constant_learning_rate {} } } }",
    "train_config.gradient_clipping_by_norm=10",
    "train_config.bias_grad_multiplier=2",
    "train_config.freeze_variables=Conv",
    "train_config.fine_tune_checkpoint_type=matching",
    "train_config.fine_tune_checkpoint_version=V1",
    "train_config.num_steps=0",
    *(f"{AUGMENT}={{ {step} }}" for step in STEPS),
    "train_input_reader.shuffle=false",
    "train_input_reader.num_readers=8",
    "eval_config.batch_size=8",
    "eval_config.num_examples=8000",
    "eval_config.use_moving_averages=false",
    "eval_input_reader[0].num_epochs=2",
    "eval_input_reader[0].drop_remainder=false",
    "train_config.merge_multiple_label_boxes=true",
    "train_input_reader.num_epochs=3",
    "train_input_reader.drop_remainder=false",
    "train_input_reader.load_multiclass_scores=true",
    f"{SSD}.image_resizer.fixed_shape_resizer.convert_to_grayscale=true",
    "eval_input_reader[0].sample_1_of_n_examples=10",
    "graph_rewriter={ quantization { delay: 48000 } }",
]


def as_tuple(settings: str | tuple[str, ...]) -> tuple[str, ...]:
    return (settings,) if isinstance(settings, str) else settings


@pytest.mark.parametrize("settings", ACCEPTED, ids=lambda settings: as_tuple(settings)[0])
def test_accepted(settings: str | tuple[str, ...]) -> None:
    assert refused(*as_tuple(settings)) == {}


def chosen(message: Any) -> Iterator[tuple[str, str]]:
    """Yields (message, field) of every alternative that is chosen in a config."""
    for field, value in message.ListFields():
        if field.containing_oneof is not None:
            yield message.DESCRIPTOR.name, field.name
        if is_message(field):
            is_list = messages.is_repeated(field)
            for item in (
                (value.values() if hasattr(value, "values") else value) if is_list else [value]
            ):
                yield from chosen(item)


def test_every_alternative_that_is_obeyed_has_been_accepted() -> None:
    fields = dict(fields_by_path(TrainEvalPipelineConfig.DESCRIPTOR))
    wanted = {
        (fields[path].containing_type.name, fields[path].name)
        for path in obeyed.OBEYED
        if fields[path].containing_oneof is not None
    }
    seen: set[tuple[str, str]] = set()
    for settings in ACCEPTED:
        seen |= set(chosen(pipeline.load(ZOO, as_tuple(settings)).message))
    assert wanted - seen == set()


REFUSED = {
    f"{SSD}.feature_extractor.type=ssd_mobilenet_v3_large": (
        f"{SSD}.feature_extractor.type",
        "ssd_mobilenet_v3_large is not supported; supported: ssd_mobilenet_v1_keras, ",
    ),
    f"{SSD}.feature_extractor.bifpn={{}}": (
        f"{SSD}.feature_extractor.bifpn",
        "not supported; supported: fpn.",
    ),
    f"{SSD}.feature_extractor.fpn.min_level=6": (
        f"{SSD}.feature_extractor.fpn.min_level",
        "6 is not supported; supported: 2 to 5.",
    ),
    f"{SSD}.feature_extractor.num_layers=7": (
        f"{SSD}.feature_extractor.num_layers",
        "7 is not supported; supported: 1 to 6.",
    ),
    f"{HYPER}.op=FC": (f"{HYPER}.op", "FC is not supported; supported: CONV."),
    f"{HYPER}.initializer.keras_initializer_by_name=mine": (
        f"{HYPER}.initializer.keras_initializer_by_name",
        "mine is not supported; supported: glorot_uniform, ",
    ),
    f"{HYPER}.batch_norm.train=false": (
        f"{HYPER}.batch_norm.train",
        "false is not supported; supported: true. freeze_batchnorm is the switch",
    ),
    f"{SSD}.box_coder.keypoint_box_coder={{}}": (
        f"{SSD}.box_coder.keypoint_box_coder",
        "not supported; supported: faster_rcnn_box_coder, mean_stddev_box_coder, square_box_coder.",
    ),
    f"{HEAD}.dropout_keep_probability=0": (
        f"{HEAD}.dropout_keep_probability",
        "0 is not supported; supported: more than 0, up to 1.",
    ),
    f"{SSD}.post_processing.calibration_config={{ sigmoid_calibration {{}} }}": (
        f"{SSD}.post_processing.calibration_config.sigmoid_calibration",
        "the original has no calibrator for it and refuses it too",
    ),
    f"{SSD}.explicit_background_class=true": (
        f"{SSD}.explicit_background_class",
        "true is not supported; supported: false (the default).",
    ),
    f"{SSD}.loss.equalization_loss={{ weight: 1 }}": (
        f"{SSD}.loss.equalization_loss.weight",
        "1 is not supported; supported: 0. The original stores it and never uses it",
    ),
    f"{SSD}.num_classes=0": (f"{SSD}.num_classes", "0 is not supported; supported: 1 or more."),
    "train_config.optimizer={ adam_optimizer {} }": (
        "train_config.optimizer.adam_optimizer.learning_rate",
        "missing, and nothing can stand in for it; add it.",
    ),
    "train_config.fine_tune_checkpoint_type=all": (
        "train_config.fine_tune_checkpoint_type",
        'all is not supported; supported: "", classification, detection, fine_tune, full, matching',
    ),
    "train_config.data_augmentation_options[2]={}": (
        "train_config.data_augmentation_options[2]",
        "needs one of: normalize_image, random_horizontal_flip, random_pixel_value_scale",
    ),
    f"{AUGMENT}={{ convert_class_logits_to_softmax {{}} }}": (
        f"{AUGMENT}.convert_class_logits_to_softmax",
        "not supported: multiclass scores are not read",
    ),
    "train_input_reader.load_instance_masks=true": (
        "train_input_reader.load_instance_masks",
        "true is not supported; supported: false (the default).",
    ),
    "train_input_reader.external_input_reader={}": (
        "train_input_reader.external_input_reader",
        "not supported; supported: tf_record_input_reader.",
    ),
    "eval_config.parameterized_metric={}": (
        "eval_config.parameterized_metric",
        "not supported; remove it.",
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
    f"{SSD}.num_classes": "not set; give a value (1 or more).",
    f"{SSD}.feature_extractor.type": "not set; give a value (ssd_mobilenet_v1_keras, ",
    f"{HEAD}.depth": "not set, and the default 0 is not supported; supported: 1 or more.",
    f"{SSD}.similarity_calculator": "missing, and nothing can stand in for it; add it.",
    f"{SSD}.anchor_generator.multiscale_anchor_generator.aspect_ratios": "missing, and nothing",
    "train_config.optimizer": "missing, and nothing can stand in for it; add it.",
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


def test_lines_are_those_of_the_setting_or_of_the_section_around_it(tmp_path: Path) -> None:
    text = ZOO.read_text(encoding="utf-8")
    file = tmp_path / "pipeline.config"
    file.write_text(
        text.replace("    num_classes: 90", "").replace("scale: true }", "train: 0 }", 1)
    )
    lines = file.read_text().splitlines()
    section = lines.index("  ssd {") + 1
    train = 1 + next(n for n, line in enumerate(lines) if "train: 0" in line)
    found = {refusal.path: refusal.line for refusal in pipeline.load(file).refusals()}
    assert found == {f"{SSD}.num_classes": section, f"{HYPER}.batch_norm.train": train}


def test_refusals_come_in_the_order_of_their_lines(shared: Path) -> None:
    folder = shared / "data/pipeline_configs_in_the_wild"
    found = pipeline.load(folder / "algonacci__ssd-mobilenet-v2-video__2.config").refusals()
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
            f"--set {setting}: train_config.optimizer.adam_optimizer.learning_rate: missing, and"
        )
    )
    setting = "model.ssd.explicit_background_class=true"
    said = pipeline.load(ZOO, [setting]).refusals()[0].message("p.config")
    assert said.startswith(f"--set {setting}: true is not supported; supported: false (the def")


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
    message.model.ssd.explicit_background_class = True
    found = refusals(message)
    assert [(refusal.line, refusal.path) for refusal in found] == [
        (None, "model.ssd.explicit_background_class")
    ]
    assert (
        found[0].message("p.config").startswith("p.config: model.ssd.explicit_background_class: ")
    )


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


# What a file is refused for if it is no SSD MobileNet, and how many of the 110 are.
OTHER_NETWORKS = {
    "model.faster_rcnn": 25,
    "model.center_net": 6,
    f"{SSD}.feature_extractor.type": 35,
}
OBEYED_TYPES = {
    "ssd_mobilenet_v1": 7,
    "ssd_mobilenet_v1_fpn": 3,
    "ssd_mobilenet_v2": 11,
    "ssd_mobilenet_v2_keras": 2,
    "ssd_mobilenet_v2_fpn_keras": 17,
}


def test_every_config_in_the_wild_is_obeyed_or_refused_by_line(shared: Path) -> None:
    files = sorted((shared / "data/pipeline_configs_in_the_wild").glob("*.config"))
    assert len(files) == 110
    obeyed_types: Counter[str] = Counter()
    networks: Counter[str] = Counter()
    for file in files:
        if file.name in NOT_READABLE:
            with pytest.raises(
                InputError, match=rf"^{re.escape(str(file))}:{NOT_READABLE[file.name]}"
            ):
                pipeline.load(file)
            continue
        loaded = pipeline.load(file)
        found, kind = loaded.refusals(), loaded.message.model.ssd.feature_extractor.type
        if kind in EXTRACTOR_TYPES:
            assert found == [], file
            obeyed_types[kind] += 1
            continue
        # The network is the reason, and the first line that is refused.
        networks[found[0].path] += 1
        assert found[0].path != f"{SSD}.feature_extractor.type" or kind in found[0].why
        for refusal in found:
            assert (refusal.line or 0) >= 1, refusal
            assert refusal.path, refusal
            assert refusal.why.endswith((".", ")")), refusal
    assert obeyed_types == OBEYED_TYPES
    assert networks == OTHER_NETWORKS
