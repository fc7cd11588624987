"""Settings that are fine one by one but do not fit together."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssd.config import pipeline
from ssd.config.refusals import refusals
from ssd.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
ZOO = ROOT / "pipeline_configs/ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8.config"
SSD = "model.ssd"
LOSS, ANCHORS = f"{SSD}.loss", f"{SSD}.anchor_generator"
HEAD = f"{SSD}.box_predictor.weight_shared_convolutional_box_predictor"
NMS = f"{SSD}.post_processing.batch_non_max_suppression"
RATE = "train_config.optimizer.momentum_optimizer.learning_rate"
COSINE = f"{RATE}.cosine_decay_learning_rate"
AUGMENT = "train_config.data_augmentation_options[1]"
CURVES = f"{SSD}.post_processing.calibration_config"

CONVOLUTIONAL = (
    f"{SSD}.box_predictor={{ convolutional_box_predictor "
    "{ kernel_size: 3 use_depthwise: true } }"
)
PER_LEVEL = f"{SSD}.feature_extractor={{ type: 'ssd_mobilenet_v2_keras' }}"
JITTER, PAD = "random_jitter_boxes", "random_pad_image"
MAPPED = f"{CURVES}.class_id_function_approximations.class_id_xy_pairs_map"
FALLING = "x_y_pair { x: 0.5 } x_y_pair { x: 0.2 }"

TOGETHER = {
    (f"{HEAD}.kernel_size=1",): (f"{HEAD}.kernel_size", "1 makes no sense with use_depthwise"),
    (f"{HEAD}.box_code_size=3",): (f"{HEAD}.box_code_size", "3, but box_coder has 4 numbers"),
    (f"{HEAD}.box_encodings_clip_range={{ min: 1 max: 1 }}",): (
        f"{HEAD}.box_encodings_clip_range.min",
        "1 is not below max 1",
    ),
    (CONVOLUTIONAL, f"{SSD}.box_predictor.convolutional_box_predictor.min_depth=8"): (
        f"{SSD}.box_predictor.convolutional_box_predictor.min_depth",
        "8 is above max_depth 0",
    ),
    (
        f"{ANCHORS}={{ ssd_anchor_generator {{ num_layers: 6 aspect_ratios: [1, 2, 3] "
        "reduce_boxes_in_lowest_layer: false } }",
    ): (
        f"{ANCHORS}.ssd_anchor_generator.num_layers",
        r"6, but feature_extractor\.fpn gives 5 feature maps; make them equal",
    ),
    (f"{ANCHORS}={{ ssd_anchor_generator {{ num_layers: 5 aspect_ratios: [1, 2, 3] }} }}",): (
        f"{ANCHORS}.ssd_anchor_generator.reduce_boxes_in_lowest_layer",
        "true gives the finest map 3 anchors per location",
    ),
    (
        f"{ANCHORS}={{ ssd_anchor_generator {{ num_layers: 5 aspect_ratios: [1, 2] "
        "scales: 0.5 } }",
    ): (
        f"{ANCHORS}.ssd_anchor_generator.scales",
        "1 values for num_layers 5; give as many, or none",
    ),
    (f"{ANCHORS}={{ grid_anchor_generator {{ scales: 1 aspect_ratios: 1 }} }}",): (
        f"{ANCHORS}.grid_anchor_generator",
        "makes anchors for one feature map, but",
    ),
    (
        f"{ANCHORS}={{ flexible_grid_anchor_generator {{ anchor_grid {{ base_sizes: 9 "
        "aspect_ratios: 1 height_stride: 8 width_stride: 8 } } }",
    ): (
        f"{ANCHORS}.flexible_grid_anchor_generator.anchor_grid",
        "1 of them, but",
    ),
    (f"{SSD}.image_resizer={{ identity_resizer {{}} }}",): (
        f"{SSD}.feature_extractor.pad_to_multiple",
        "1, but with this image_resizer the size varies, and the FPN needs multiples of 32",
    ),
    (
        f"{SSD}.image_resizer={{ keep_aspect_ratio_resizer {{ min_dimension: 352 "
        "max_dimension: 320 pad_to_max_dimension: true } }",
    ): (
        f"{SSD}.image_resizer.keep_aspect_ratio_resizer.min_dimension",
        "352 is above max_dimension 320",
    ),
    (
        f"{SSD}.image_resizer={{ keep_aspect_ratio_resizer {{ min_dimension: 320 "
        "max_dimension: 320 pad_to_max_dimension: true per_channel_pad_value: [1, 2] } }",
    ): (
        f"{SSD}.image_resizer.keep_aspect_ratio_resizer.per_channel_pad_value",
        "2 values; give three, or none",
    ),
    (f"{SSD}.feature_extractor.fpn.max_level=2",): (
        f"{SSD}.feature_extractor.fpn.max_level",
        "2 is below min_level 3",
    ),
    (PER_LEVEL, CONVOLUTIONAL): (
        f"{ANCHORS}.multiscale_anchor_generator.max_level",
        r"levels 3 to 7, but feature_extractor\.num_layers gives 6 feature maps",
    ),
    (
        f"{LOSS}.classification_loss={{ weighted_dice_classification_loss {{}} }}",
        f"{LOSS}.hard_example_miner={{}}",
    ): (
        f"{LOSS}.hard_example_miner",
        "needs a loss per anchor, which weighted_dice_classification_loss is not",
    ),
    (
        f"{LOSS}.classification_loss={{ weighted_softmax {{}} }}",
        f"{LOSS}.expected_loss_weights=EXPECTED_SAMPLING",
    ): (
        f"{LOSS}.expected_loss_weights",
        "with weighted_softmax needs encode_background_as_zeros: false",
    ),
    (
        f"{LOSS}.localization_loss={{ weighted_giou {{}} }}",
        f"{SSD}.box_coder={{ square_box_coder {{}} }}",
        f"{HEAD}.box_code_size=3",
    ): (
        f"{LOSS}.localization_loss.weighted_giou",
        "compares boxes, and square_box_coder keeps only squares",
    ),
    (f"{LOSS}.hard_example_miner={{}}",): (
        f"{LOSS}.hard_example_miner",
        "does not go with weighted_sigmoid_focal",
    ),
    (f"{LOSS}.expected_loss_weights=EXPECTED_SAMPLING", f"{LOSS}.random_example_sampler={{}}"): (
        f"{LOSS}.expected_loss_weights",
        "weighs every anchor, in place of selecting some",
    ),
    (f"{NMS}.soft_nms_sigma=0.5", f"{NMS}.use_static_shapes=true"): (
        f"{NMS}.soft_nms_sigma",
        r"0\.5 does not go with use_static_shapes",
    ),
    (f"{NMS}.use_combined_nms=true",): (
        f"{NMS}.use_combined_nms",
        "does not go with change_coordinate_frame, which is true by default",
    ),
    (f"{NMS}.use_class_agnostic_nms=true", f"{NMS}.max_classes_per_detection=2"): (
        f"{NMS}.max_classes_per_detection",
        "2 does not go with use_class_agnostic_nms",
    ),
    (f"{NMS}.soft_nms_sigma=0.5", f"{NMS}.use_hard_nms=true"): (
        f"{NMS}.soft_nms_sigma",
        r"0\.5 contradicts use_hard_nms: true",
    ),
    (f"{NMS}.use_combined_nms=true", f"{NMS}.soft_nms_sigma=0.5"): (
        f"{NMS}.use_combined_nms",
        "has no soft form",
    ),
    (f"{NMS}.use_combined_nms=true", f"{NMS}.use_class_agnostic_nms=true"): (
        f"{NMS}.use_combined_nms",
        "does not go with use_class_agnostic_nms",
    ),
    (f"{CURVES}={{ function_approximation {{ x_y_pairs {{ {FALLING} }} }} }}",): (
        f"{CURVES}.function_approximation.x_y_pairs.x_y_pair[1].x",
        r"0\.2 is below 0\.5 before it",
    ),
    (f"{CURVES}={{ function_approximation {{ x_y_pairs {{}} }} }}",): (
        f"{CURVES}.function_approximation.x_y_pairs",
        "has no x_y_pair; give at least one",
    ),
    (
        f"{CURVES}={{ class_id_function_approximations {{ class_id_xy_pairs_map {{ key: 7 "
        f"value {{ {FALLING} }} }} }} }}",
    ): (f"{MAPPED}[7].x_y_pair[1].x", r"0\.2 is below 0\.5 before it"),
    (
        # 90 classes and the background: columns 0 to 90.
        f"{CURVES}={{ class_id_function_approximations {{ class_id_xy_pairs_map {{ key: 91 "
        "value { x_y_pair { x: 0 y: 0.5 } } } } }",
    ): (f"{MAPPED}[91]", "no such class; the scores have columns 0 to 90"),
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
        f"{RATE}={{ manual_step_learning_rate "
        "{ schedule { step: 9 } schedule { step: 9 } } }",
    ): (
        f"{RATE}.manual_step_learning_rate.schedule[1].step",
        "9 does not come after step 9",
    ),
    (f"{RATE}={{ manual_step_learning_rate {{ schedule {{ step: 0 }} warmup: true }} }}",): (
        f"{RATE}.manual_step_learning_rate.schedule[0].step",
        "0 leaves no steps for the warm-up",
    ),
    (f"{COSINE}.hold_base_rate_steps=49500",): (
        f"{COSINE}.hold_base_rate_steps",
        "49500 after warmup_steps 1000 is above total_steps 50000",
    ),
    ("train_config.freeze_variables=Conv,(",): (
        "train_config.freeze_variables[1]",
        r"\( is no regular expression",
    ),
    ("eval_config.use_moving_averages=true",): (
        "eval_config.use_moving_averages",
        r"true, but train_config\.optimizer\.use_moving_average is false",
    ),
    (f"{AUGMENT}={{ {JITTER} {{ ratio: 1.5 }} }}",): (
        f"{AUGMENT}.{JITTER}.ratio",
        r"1\.5 turns boxes inside out with jitter_mode DEFAULT",
    ),
    (f"{AUGMENT}={{ normalize_image {{ original_minval: 3 original_maxval: 3 }} }}",): (
        f"{AUGMENT}.normalize_image.original_maxval",
        "3 is original_minval too; a range is needed",
    ),
    (f"{AUGMENT}={{ subtract_channel_mean {{ means: [1, 2] }} }}",): (
        f"{AUGMENT}.subtract_channel_mean.means",
        "2 values; 3 are needed",
    ),
    (f"{AUGMENT}={{ {PAD} {{ pad_color: [1, 2] }} }}",): (
        f"{AUGMENT}.{PAD}.pad_color",
        "2 values; 3 or 1 are needed",
    ),
    (f"{AUGMENT}={{ {PAD} {{ min_image_width: 400 }} }}",): (
        f"{AUGMENT}.{PAD}.min_image_width",
        "needs min_image_height beside it; give both or none",
    ),
    (f"{AUGMENT}={{ {PAD} {{ max_image_height: 400 max_image_width: 0 }} }}",): (
        f"{AUGMENT}.{PAD}.max_image_width",
        "0 is no size; leave it out",
    ),
    (f"{AUGMENT}.random_crop_image.max_area=0.5",): (
        f"{AUGMENT}.random_crop_image.min_area",
        r"0\.75 is above max_area 0\.5",
    ),
    ("train_input_reader.sample_from_datasets_weights=0.5,0.5",): (
        "train_input_reader.sample_from_datasets_weights",
        "2 weights for 1 input_path; give one above 0 for each",
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
    assert (pipeline.load(ZOO, [f"{path}={height}"]).refusals() == []) is is_fine
