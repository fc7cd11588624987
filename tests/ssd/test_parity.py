"""The detector against recordings of the TF Object Detection API, stage by stage.

`python tests/ssd/test_parity.py ORACLE_FOLDER` (from the checkout, PYTHONPATH=.) prints the table
of docs/parity.md: what was compared, the largest difference, the tolerance.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from ssd import checkpoint
from ssd.config import pipeline
from ssd.core.image_resizer import resize_bilinear_legacy
from ssd.models.builder import build_detector
from ssd.models.detector import Detector
from ssd.optimizer import build_optimizer
from ssd.training.train_step import compute_losses, make_train_step

HEAD = """# Parity with the original

Largest difference between this kit and recordings of the TF Object Detection API, stage by stage. Made by
`PYTHONPATH=. .venv/bin/python tests/ssd/test_parity.py ORACLE_FOLDER > docs/parity.md`; what whole runs give is in
[results.md](results.md)."""  # noqa: E501
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"
PERTURBATIONS = 4
STEP_PERTURBATIONS = 2
MODELS = (
    "ssd_mobilenet_v2_fpnlite_320x320",
    "fpnlite_320_narrow",
    "ssd_mobilenet_v2_320x320",
    "ssd_mobilenet_v2_320_narrow",
)


@dataclass(frozen=True)
class Row:
    """One compared stage; `tolerance` is of the same unit as `difference`."""

    stage: str
    difference: float
    tolerance: float
    unit: str


class Recording:
    """One recorded model: its arrays, its checkpoint restored into our detector."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.golden = np.load(folder / "golden.npz")
        self.steps = np.load(folder / "golden_steps.npz")
        self.config = pipeline.load(folder / "pipeline.config").message
        self.detector = self.fresh_detector()

    def fresh_detector(self, freeze_batchnorm: bool = False) -> Detector:
        self.config.model.ssd.freeze_batchnorm = freeze_batchnorm
        detector = build_detector(self.config.model)
        checkpoint.restore_model(detector, self.folder / "checkpoint")
        return detector

    def batch(self) -> dict[str, tf.Tensor]:
        """The recorded training batch of four photos, as our input pipeline gives it."""
        images = [
            resize_bilinear_legacy(self.golden[f"in/image_{n}"], self.detector.image_size)
            for n in range(4)
        ]
        num_classes = self.config.model.ssd.num_classes
        weights = self.golden["gt/weights"]
        is_box = np.arange(weights.shape[1]) < self.golden["gt/num"][:, np.newaxis]
        one_hot = np.eye(num_classes, dtype=np.float32)[self.golden["gt/class_index"]]
        return {
            "image": tf.stack(images),
            "groundtruth_boxes": tf.constant(self.golden["gt/boxes"]),
            "groundtruth_classes_one_hot": tf.constant(one_hot * is_box[..., np.newaxis]),
            "groundtruth_weights": tf.constant(weights * is_box),
            "num_groundtruth_boxes": tf.constant(self.golden["gt/num"]),
        }


def largest(ours: object, theirs: object) -> float:
    """Largest absolute difference."""
    return float(np.max(np.abs(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64))))


def inference_rows(recording: Recording) -> Iterator[Row]:
    golden, detector = recording.golden, recording.detector
    preprocessed = tf.concat(
        [detector.preprocess(golden[f"in/image_{n}"][np.newaxis]) for n in range(2)], axis=0
    )
    if "pre/tensor" in golden:
        yield Row(
            "preprocessed image", largest(preprocessed, golden["pre/tensor"]), 1e-4, "absolute"
        )
    means = tf.reduce_mean(preprocessed, axis=[1, 2, 3])
    yield Row(
        "preprocessed image, mean", largest(means, golden["pre/checksum"][:2, 0]), 1e-5, "absolute"
    )
    predictions = tf.function(detector.predict)(preprocessed)
    for n, feature_map in enumerate(predictions["feature_maps"]):
        difference = largest(feature_map, golden[f"infer/feature_map_{n}"])
        yield Row(f"feature map {n}", difference, 1e-4, "absolute")
    yield Row("anchors", largest(detector.anchors, golden["infer/anchors"]), 1e-6, "absolute")
    yield Row(
        "box encodings",
        largest(predictions["box_encodings"], golden["infer/box_encodings"]),
        1e-4,
        "absolute",
    )
    logits = predictions["class_predictions_with_background"].numpy()
    subset = logits[:, golden["infer/class_anchor_index"]]
    yield Row(
        "class logits",
        largest(subset, golden["infer/class_predictions_with_background_sub"]),
        1e-4,
        "absolute",
    )
    yield from detection_rows(golden, tf.function(detector.postprocess)(predictions))


def detection_rows(golden: np.lib.npyio.NpzFile, detections: dict) -> Iterator[Row]:
    raw = "raw_detection_boxes"
    yield Row("decoded boxes", largest(detections[raw], golden[f"det/{raw}"]), 1e-4, "absolute")
    yield Row(
        "num_detections",
        largest(detections["num_detections"], golden["det/num_detections"]),
        0.0,
        "absolute",
    )
    # Near-ties may swap places: the sorted scores must agree, and boxes wherever the anchor does.
    scores = largest(detections["detection_scores"], golden["det/detection_scores"])
    yield Row("detection scores", scores, 1e-4, "absolute")
    ours = detections["detection_anchor_indices"].numpy()
    same = ours == golden["det/detection_anchor_indices"]
    yield Row("detections of another anchor (near-ties)", float(np.mean(~same)), 0.04, "share")
    boxes = detections["detection_boxes"].numpy()[same]
    yield Row(
        "detection boxes", largest(boxes, golden["det/detection_boxes"][same]), 1e-4, "absolute"
    )
    classes = detections["detection_classes"].numpy()[same]
    yield Row(
        "detection classes",
        largest(classes, golden["det/detection_classes"][same]),
        0.0,
        "absolute",
    )


def target_rows(recording: Recording) -> Iterator[Row]:
    golden = recording.golden
    targets = recording.detector.assign_targets(recording.batch())
    yield Row(
        "matches", float(np.sum(targets.match.numpy() != golden["targets/match"])), 0.0, "count"
    )
    yield Row(
        "regression targets",
        largest(targets.reg_targets, golden["targets/reg_targets"]),
        1e-4,
        "absolute",
    )
    yield Row(
        "regression weights",
        largest(targets.reg_weights, golden["targets/reg_weights"]),
        1e-6,
        "absolute",
    )
    cls_targets = np.zeros(targets.cls_targets.shape, np.float32)
    where = tuple(golden["targets/cls_targets_nonzero_index"].T)
    cls_targets[where] = golden["targets/cls_targets_nonzero_value"]
    yield Row("class targets", largest(targets.cls_targets, cls_targets), 0.0, "absolute")
    weights = np.broadcast_to(
        targets.cls_weights.numpy().reshape(*targets.match.shape, -1)[..., 0], targets.match.shape
    )
    yield Row("class weights", largest(weights, golden["targets/cls_weights"]), 1e-6, "absolute")


def loss_rows(recording: Recording) -> Iterator[Row]:
    golden, detector = recording.golden, recording.detector
    before = checkpoint_values(detector)
    for name, training in (("bn_frozen", False), ("train", True)):
        losses_and_gradients = gradient_function(recording, training)
        losses, gradients = losses_and_gradients()
        if training:
            yield moving_statistics_row(recording)
        for part, value in losses.items():
            recorded = golden[f"loss_{name}/Loss/{part}"]
            yield Row(f"{part}, {name}", abs(float(value) / float(recorded) - 1), 1e-5, "relative")
        perturbed = []
        for seed in range(PERTURBATIONS):
            perturb(detector, before, seed)
            perturbed.append(losses_and_gradients()[1])
        assign(detector, before)
        yield gradient_row(golden, name, gradients, perturbed)


def gradient_function(recording: Recording, training: bool) -> Callable[[], tuple[dict, dict]]:
    """Returns a function of no arguments: losses and {path: gradient} on the recorded batch."""
    detector, batch = recording.detector, recording.batch()
    paths = {id(v): f"model/{key}" for key, v in detector.checkpoint_variables().items()}
    variables = [v.value for v in detector.network.trainable_variables]

    @tf.function
    def losses_and_gradients() -> tuple[dict, list]:
        with tf.GradientTape() as tape:
            losses = compute_losses(detector, batch, training=training)
            total = tf.add_n(list(losses.values()))
        return losses, tape.gradient(total, variables)

    def run() -> tuple[dict, dict]:
        losses, gradients = losses_and_gradients()
        return losses, {
            paths[id(v)]: gradient.numpy() for v, gradient in zip(variables, gradients, strict=True)
        }

    return run


def gradient_row(
    golden: np.lib.npyio.NpzFile, name: str, gradients: dict, perturbed: list[dict]
) -> Row:
    """The worst variable's difference, in units of what may be asked of it.

    Gradients jump where a ReLU6 switches, so float noise moves them; and those of a beta that the
    next batch norm cancels are noise altogether. What may be asked is therefore 1e-3 of the norm,
    or three times the most that relative changes of 1e-7 in the variables do to our own gradient.
    """
    worst = 0.0
    for path, gradient in gradients.items():
        difference, norm = gradient_difference(golden, name, path + SUFFIX, gradient)
        noise = max(float(np.linalg.norm(gradient - other[path])) for other in perturbed)
        # A gradient of exactly 0 has no norm and no noise.
        worst = max(worst, difference / max(1e-3 * norm, 3 * noise, 1e-12))
    return Row(
        f"gradients of {len(gradients)} variables, {name}",
        worst,
        1.0,
        "of max(1e-3 of the norm, 3 x noise), worst variable",
    )


def moving_statistics_row(recording: Recording) -> Row:
    recorded = recording.golden["var_checksum/after_forward_train"][:, 3]
    values = checkpoint_values(recording.detector)
    norms = np.array(
        [
            np.linalg.norm(values[str(key).removesuffix(SUFFIX)].astype(np.float64))
            for key in recording.golden["keys"]
        ]
    )
    difference = np.abs(norms - recorded) / np.maximum(recorded, 1e-6)
    return Row(
        "moving statistics after a training pass",
        float(difference.max()),
        1e-5,
        "relative, of the norms",
    )


def perturb(detector: Detector, values: dict[str, np.ndarray], seed: int) -> None:
    """Multiplies every variable by 1 +- 1e-7."""
    rng = np.random.default_rng(seed)
    signs = {key: rng.choice([-1e-7, 1e-7], size=value.shape) for key, value in values.items()}
    assign(detector, {key: value * (1 + signs[key]) for key, value in values.items()})


def assign(detector: Detector, values: dict[str, np.ndarray]) -> None:
    for key, variable in detector.checkpoint_variables().items():
        variable.assign(values[f"model/{key}"].astype(np.float32))


def gradient_difference(
    golden: np.lib.npyio.NpzFile, name: str, key: str, gradient: np.ndarray
) -> tuple[float, float]:
    """Norms of the difference and of the recorded gradient; from its first values if not whole."""
    row = list(golden[f"grad_{name}/keys"]).index(key)
    norm = float(golden[f"grad_{name}/checksum"][row, 3])
    if f"grad_{name}/full/{key}" in golden:
        return float(np.linalg.norm(gradient - golden[f"grad_{name}/full/{key}"])), norm
    first = gradient.ravel()[:64]
    difference = np.linalg.norm(first - golden[f"grad_{name}/first64"][row][: first.size])
    of_norm = abs(np.linalg.norm(gradient.astype(np.float64)) - norm)
    return float(max(difference, of_norm)), norm


def checkpoint_values(detector: Detector) -> dict[str, np.ndarray]:
    return {f"model/{key}": v.numpy() for key, v in detector.checkpoint_variables().items()}


def step_rows(recording: Recording) -> Iterator[Row]:
    """Five optimizer steps under the recorded variations of the config."""
    variations = {
        "small_lr": (0.01, False, 0.0),
        "frozen_bn": (0.01, True, 0.0),
        "clip": (1.0, False, 1.0),
    }
    for name, (rate_scale, freeze, clip) in variations.items():
        if f"{name}/lr" not in recording.steps:
            continue
        yield from variation_rows(recording, name, rate_scale, freeze, clip)


def variation_rows(
    recording: Recording, name: str, rate_scale: float, freeze: bool, clip: float
) -> Iterator[Row]:
    """Ours against the recording: 1e-5, or three times what a perturbation of 1e-7 does to either.

    The original's recording has one perturbed run; of ours there are STEP_PERTURBATIONS.
    """
    steps = recording.steps
    run = training_function(recording, rate_scale, freeze, clip)
    losses, values = run(None)
    perturbed = [run(seed) for seed in range(STEP_PERTURBATIONS)]
    order = [str(key).removesuffix(SUFFIX) for key in steps["keys"]]
    for step in (1, 5):
        if f"{name}/vars_first64/step_{step}" not in steps:
            continue
        recorded = steps[f"{name}/vars_first64/step_{step}"]
        noise = steps[f"{name}/noise_floor/step_{step}"]
        excess = 0.0
        for n, key in enumerate(order):
            ours = values[step][key].ravel()[:64]
            own_noise = max(largest(values[step][key], other[step][key]) for _, other in perturbed)
            floor = max(1e-5, 3 * noise[n], 3 * own_noise)
            excess = max(excess, largest(ours, recorded[n][: ours.size]) / floor)
        yield Row(
            f"variables after {step} step(s), {name}",
            excess,
            1.0,
            "of max(1e-5, 3 x noise), worst variable",
        )
    noise = np.abs(
        steps[f"{name}/total_loss_perturbed_1e-7"] / steps[f"{name}/Loss/total_loss"] - 1
    ).max()
    for part in ("localization_loss", "classification_loss", "regularization_loss", "total_loss"):
        own_noise = max(np.abs(other[part] / losses[part] - 1).max() for other, _ in perturbed)
        yield Row(
            f"{part} over 5 steps, {name}",
            float(np.max(np.abs(losses[part] / steps[f"{name}/Loss/{part}"] - 1))),
            float(max(1e-5, 3 * noise, 3 * own_noise)),
            "relative",
        )
    yield Row(
        f"learning rates, {name}",
        float(np.max(np.abs(losses["learning_rate"] / steps[f"{name}/lr"] - 1))),
        1e-6,
        "relative",
    )


def training_function(
    recording: Recording, rate_scale: float, freeze: bool, clip: float
) -> Callable[[int | None], tuple[dict, dict]]:
    """Returns a function that trains five steps from the recorded variables.

    It takes the seed of a perturbation, or None; it returns losses {part: [5]} and the variables
    {step: {path: value}} after steps 1 and 5.
    """
    detector = recording.fresh_detector(freeze_batchnorm=freeze)
    initial = checkpoint_values(detector)
    optimizer_config = type(recording.config.train_config.optimizer)()
    optimizer_config.CopyFrom(recording.config.train_config.optimizer)
    cosine = optimizer_config.momentum_optimizer.learning_rate.cosine_decay_learning_rate
    cosine.learning_rate_base *= rate_scale
    cosine.warmup_learning_rate *= rate_scale
    optimizer = build_optimizer(optimizer_config)
    optimizer.build(detector.network.trainable_variables)
    train_step = make_train_step(detector, optimizer, gradient_clipping_by_norm=clip)
    batch = recording.batch()

    def run(seed: int | None) -> tuple[dict, dict]:
        assign(detector, initial) if seed is None else perturb(detector, initial, seed)
        for variable in optimizer.variables[:1] + list(optimizer.momentums):
            variable.assign(np.zeros(variable.shape))
        losses, values = [], {}
        for step in range(1, 6):
            losses.append(train_step(batch))
            if step in (1, 5):
                values[step] = checkpoint_values(detector)
        parts = {part: np.array([float(step[part]) for step in losses]) for part in losses[0]}
        return parts, values

    return run


def schedule_rows(recording: Recording) -> Iterator[Row]:
    schedule = build_optimizer(recording.config.train_config.optimizer)._learning_rate
    rates = [float(schedule(step)) for step in recording.golden["lr/steps"]]
    yield Row(
        "learning rate schedule", largest(rates, recording.golden["lr/values"]), 1e-8, "absolute"
    )


STAGES = {
    "inference": inference_rows,
    "targets": target_rows,
    "losses": loss_rows,
    "steps": step_rows,
    "schedule": schedule_rows,
}


@pytest.fixture(scope="module", params=MODELS)
def recording(request: pytest.FixtureRequest, oracle: Path) -> Recording:
    return Recording(oracle / request.param)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_stage_equals_the_recording(recording: Recording, stage: str) -> None:
    rows = list(STAGES[stage](recording))
    assert rows
    wrong = [row for row in rows if not row.difference <= row.tolerance]
    assert not wrong, "\n".join(map(str, wrong))


def main(oracle: Path) -> None:
    """Prints docs/parity.md."""
    from tests.ssd import test_operation_parity  # late: pytest does not need it

    print(HEAD)
    for model in MODELS:
        recording = Recording(oracle / model)
        print(f"\n## {model}\n\n| stage | largest difference | tolerance | unit |")
        print("|---|---|---|---|")
        for rows in STAGES.values():
            for row in rows(recording):
                flag = "" if row.difference <= row.tolerance else " **exceeded**"
                values = f"{row.difference:.2g}{flag} | {row.tolerance:.2g}"
                print(f"| {row.stage} | {values} | {row.unit} |")
    for line in test_operation_parity.table(oracle):
        print(line)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
