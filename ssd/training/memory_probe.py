"""What `--batch-size auto` asks this machine, in a process of its own.

The step is built and traced there. In the process that trains nothing may use TensorFlow before
its threads and devices are chosen, and the batch size comes before that.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from ssd.training.memory import StepMemory


@dataclass(frozen=True)
class Probe:
    """One model on this machine.

    Attributes:
      memory: of a training step, with as many replicas as will train; None where every image has
        a size of its own.
      free: bytes on the device that has least; None where the system does not say.
      num_replicas: GPUs of this machine, or 1.
    """

    memory: StepMemory | None
    free: float | None
    num_replicas: int


def probe(config: Any, *, precision: str) -> Probe:
    """Returns what a training step of a TrainEvalPipelineConfig takes and what there is.

    train_config.batch_size does not matter.
    """
    # Spawned: a fork would share what TensorFlow has begun here.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_probed, config.SerializeToString(), precision).result()


def _probed(serialized: bytes, precision: str) -> Probe:
    # Here and not above: the process that asks does not need them yet.
    import tensorflow as tf

    from ssd.config.messages import message_class
    from ssd.standard_fields import InputFields
    from ssd.training.free_memory import free_bytes
    from ssd.training.learner import Learner
    from ssd.training.memory import step_memory

    config = message_class("TrainEvalPipelineConfig").FromString(serialized)
    free, num_replicas = free_bytes(), max(len(tf.config.list_physical_devices("GPU")), 1)
    learner = Learner(config, seed=0, precision=precision)
    resizer = learner.detector.image_resizer
    rows, boxes = 8, config.train_input_reader.max_number_of_boxes
    shapes = {
        InputFields.image: [rows, *(resizer.output_size or (None, None)), resizer.channels],
        InputFields.groundtruth_boxes: [rows, boxes, 4],
        InputFields.groundtruth_classes_one_hot: [rows, boxes, config.model.ssd.num_classes],
        InputFields.groundtruth_weights: [rows, boxes],
    }
    batch_spec = {key: tf.TensorSpec(shape, tf.float32) for key, shape in shapes.items()}
    memory = step_memory(learner, batch_spec, num_replicas=num_replicas)
    return Probe(memory, free, num_replicas)
