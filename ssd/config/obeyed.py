"""Which settings of pipeline.config this kit acts on, and with which values. Data only.

A path is that of the schema: dotted, without list indices. `None` means every value of the type is
acted on; a Rule narrows that, and holds for the default too when the setting is not given. Message
fields appear with `None`; of alternatives, those that appear are the supported ones. What is
neither here nor in `harmless.py` is refused as soon as it is set to anything but its default.
"""

from __future__ import annotations

from ssd.config.obeyed_input import EVAL_CONFIG, INPUT_READER
from ssd.config.obeyed_model import MODEL
from ssd.config.obeyed_training import TRAIN_CONFIG
from ssd.config.rules import Table, at_least, under

OBEYED: Table = {
    **under("model", MODEL),
    **under("train_config", TRAIN_CONFIG),
    **under("train_input_reader", INPUT_READER),
    "train_input_reader.sample_from_datasets_weights": at_least(0),
    "train_input_reader.num_epochs": None,
    "train_input_reader.drop_remainder": None,
    **under("eval_config", EVAL_CONFIG),
    **under("eval_input_reader", INPUT_READER),
}

# Sections and lists that must be there; each holds only when the section around it is there.
REQUIRED: frozenset[str] = frozenset(
    {
        "model",
        "model.ssd.image_resizer",
        "model.ssd.feature_extractor",
        "model.ssd.box_coder",
        "model.ssd.matcher",
        "model.ssd.similarity_calculator",
        "model.ssd.box_predictor",
        "model.ssd.anchor_generator",
        "model.ssd.anchor_generator.multiscale_anchor_generator.aspect_ratios",
        "model.ssd.anchor_generator.ssd_anchor_generator.aspect_ratios",
        "model.ssd.anchor_generator.flexible_grid_anchor_generator.anchor_grid",
        "model.ssd.anchor_generator.flexible_grid_anchor_generator.anchor_grid.base_sizes",
        "model.ssd.anchor_generator.flexible_grid_anchor_generator.anchor_grid.aspect_ratios",
        "model.ssd.anchor_generator.grid_anchor_generator.scales",
        "model.ssd.anchor_generator.grid_anchor_generator.aspect_ratios",
        "model.ssd.post_processing",
        "model.ssd.loss",
        "model.ssd.loss.localization_loss",
        "model.ssd.loss.classification_loss",
        "train_config",
        "train_config.optimizer",
        "train_config.optimizer.adam_optimizer.learning_rate",
        "train_config.optimizer.momentum_optimizer.learning_rate",
        "train_config.optimizer.rms_prop_optimizer.learning_rate",
    }
)

# Alternatives (Message.oneof) that may be left open; every other one met needs a member.
OPTIONAL_ONEOFS: frozenset[str] = frozenset(
    {
        "Hyperparams.normalizer_oneof",
        "Initializer.initializer_oneof",
        "InputReader.input_reader",
        "Regularizer.regularizer_oneof",
        "SsdFeatureExtractor.feature_pyramid_oneof",
    }
)
