from __future__ import annotations

import numpy as np
import pytest

from ssd.config import pipeline
from ssd.errors import InputError
from ssd.models import builder, target_builder
from ssd.models.builder import build_detector

SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


@pytest.mark.parametrize(
    ("height", "width"), [(300, 320), (320, 300), (32, 64), (64, 32), (72, 96), (0, 0)]
)
def test_image_sizes_that_do_not_fit_are_refused(tiny_config, height, width):
    resizer = tiny_config.model.ssd.image_resizer.fixed_shape_resizer
    resizer.height, resizer.width = height, width
    with pytest.raises(
        InputError,
        match=rf"image_resizer: {height} x {width} \(height x width"
        r"\) does not fit .* stride 32: give multiples of 32",
    ):
        build_detector(tiny_config.model)


def test_settings_arrive_where_they_act(tiny_config, monkeypatch):
    made = {}
    # The network is not what is looked at here, and takes seconds to build.
    monkeypatch.setattr(
        builder,
        "SsdNetwork",
        lambda extractor, predictor: (
            made.update(extractor=extractor, predictor=predictor)
            or (
                lambda inputs: {
                    "feature_maps": [
                        np.zeros((1, *s, 1)) for s in ((8, 12), (4, 6), (2, 3), (1, 2), (1, 1))
                    ]
                }
            )
        ),
    )
    ssd = tiny_config.model.ssd
    ssd.feature_extractor.depth_multiplier = 0.35
    ssd.feature_extractor.conv_hyperparams.batch_norm.decay = 0.97
    ssd.box_predictor.weight_shared_convolutional_box_predictor.depth = 24
    ssd.matcher.argmax_matcher.unmatched_threshold = 0.25
    ssd.box_coder.faster_rcnn_box_coder.x_scale = 7.0
    ssd.loss.classification_loss.weighted_sigmoid_focal.ClearField("alpha")
    ssd.loss.localization_loss.weighted_smooth_l1.delta = 0.5
    ssd.post_processing.batch_non_max_suppression.max_detections_per_class = 30
    ssd.post_processing.logit_scale = 2.0
    detector = build_detector(tiny_config.model)
    # 128 * 0.35 = 44.8, cut; the tower's depth is not scaled.
    assert made["extractor"].top_projection.filters == 44
    assert made["extractor"].backbone.stem_bn.momentum == pytest.approx(0.97)
    assert made["predictor"].tower_convs["box_encodings"][0].filters == 24
    assert made["predictor"].class_head.filters == 6 * 4
    assert detector.box_coder.scale_factors == (10.0, 7.0, 5.0, 5.0)
    matcher = detector.assigner.keywords["match"].keywords
    assert (matcher["matched_threshold"], matcher["unmatched_threshold"]) == (0.5, 0.25)
    assert detector.losses.classification_loss.keywords == {"gamma": 2.0, "alpha": None}
    assert detector.losses.localization_loss.keywords == {"delta": 0.5}
    assert detector.post_processor.nms.max_detections_per_class == 30
    assert detector.post_processor.logit_scale == 2.0


def test_fields_not_given_have_the_defaults_of_the_schema(tiny_config, monkeypatch):
    monkeypatch.setattr(
        builder,
        "SsdNetwork",
        lambda extractor, predictor: (
            lambda inputs: {
                "feature_maps": [
                    np.zeros((1, *s, 1)) for s in ((8, 12), (4, 6), (2, 3), (1, 2), (1, 1))
                ]
            }
        ),
    )
    ssd = tiny_config.model.ssd
    for part, fields in (
        (ssd, ("normalize_loss_by_num_matches", "normalize_loc_loss_by_codesize")),
        (ssd.box_coder, ("faster_rcnn_box_coder",)),
        (ssd.loss, ("localization_weight", "classification_weight")),
    ):
        for name in fields:
            part.ClearField(name)
    ssd.box_coder.faster_rcnn_box_coder.SetInParent()
    detector = build_detector(tiny_config.model)
    assert detector.box_coder.scale_factors == (10.0, 10.0, 5.0, 5.0)
    assert detector.losses.normalize_loss_by_num_matches
    assert not detector.losses.normalize_loc_loss_by_codesize
    assert detector.losses.localization_weight == 1.0


def test_ignored_thresholds_match_every_anchor(tiny_config):
    message = tiny_config.model.ssd.matcher.argmax_matcher
    message.ignore_thresholds = True
    found = target_builder.build(tiny_config.model.ssd).keywords["match"].keywords
    assert found["matched_threshold"] is None
    assert found["unmatched_threshold"] is None


def test_the_seed_decides_the_initial_variables(tiny_detector, tiny_config):
    # The fixture is built with seed 7.
    expected = {key: v.numpy() for key, v in tiny_detector.checkpoint_variables().items()}
    again = build_detector(tiny_config.model, seed=7).checkpoint_variables()
    assert again.keys() == expected.keys()
    for key, variable in again.items():
        np.testing.assert_array_equal(variable.numpy(), expected[key], err_msg=key)


def test_initial_variables(tiny_detector):
    values = {key: v.numpy() for key, v in tiny_detector.checkpoint_variables().items()}
    for key, value in values.items():
        if key.endswith(("gamma", "moving_variance")):
            assert np.all(value == 1.0), key
        elif key.endswith(("beta", "moving_mean")):
            assert np.all(value == 0.0), key
        elif key.endswith("bias"):
            expected = np.float32(-4.6) if "class_predictions" in key else 0.0
            assert np.all(value == expected), key
    stddev = np.concatenate(
        [
            value.ravel()
            for key, value in values.items()
            if "classification_backbone" in key and key.endswith("kernel")
        ]
    ).std()
    assert stddev == pytest.approx(0.01, rel=0.02)


def test_keys_and_shapes_are_those_of_the_zoo(shared):
    import tensorflow as tf

    folder = shared / "oracle/real_zoo_index"
    config = pipeline.load(folder / "pipeline.config").message
    # The published config says 1 class beside a checkpoint of COCO's 90.
    config.model.ssd.num_classes = 90
    ours = {
        f"model/{key}{SUFFIX}": list(v.shape)
        for key, v in build_detector(config.model).checkpoint_variables().items()
    }
    stored = tf.train.load_checkpoint(str(folder / "ckpt-0"))
    theirs = stored.get_variable_to_shape_map()
    assert set(theirs) - set(ours) == {"_CHECKPOINTABLE_OBJECT_GRAPH", f"save_counter{SUFFIX}"}
    assert ours.items() <= theirs.items()
    assert {stored.get_variable_to_dtype_map()[key] for key in ours} == {tf.float32}
