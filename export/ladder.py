"""What is tried, one after the other, when an int8 file loses more accuracy than allowed."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from export.quantization import calibration, diagnosis, fine_tuning
from export.quantization.calibration import CalibrationSet
from export.quantization.int8 import Int8Settings
from export.source import ExportSource
from export.tflite import TfliteConverter
from ssd.errors import InputError

# Images at most, and the other ways to set ranges by them; 100 takes the extremes.
_MOST_IMAGES = 1000
_CLIP_PERCENTILES = (100.0, 99.0, 90.0)
_FLOAT_LAYERS = (4, 12)
_DIAGNOSIS_IMAGES = 16
_SHOWN_LAYERS = 10
_STEPS_PER_LINE = 100
FINE_TUNE_STEPS = 300


@dataclass(frozen=True)
class Rung:
    """One way to int8.

    Attributes:
      name: what is done differently, for a person.
      converter: makes the files so; called when it is this rung's turn. Raises InputError where
        the network does not allow it.
    """

    name: str
    converter: Callable[[], TfliteConverter]


def rungs(
    converter: TfliteConverter,
    images: CalibrationSet,
    exported: ExportSource,
    errors: Sequence[diagnosis.LayerError],
) -> Iterator[Rung]:
    """Yields what can be tried, the cheapest first, each by itself.

    Args:
      converter: made the file that lost too much.
      images: that it was calibrated with.
      exported: whose network it is.
      errors: of its layers, the costliest first; may be empty.
    """
    used = len(converter.ranges.low)
    if images.available > used:
        more = calibration.choose(
            images.records, _MOST_IMAGES, seed=images.seed, place="", is_forced=True
        )
        batches = calibration.batches(more, exported.detector, exported.label_map)
        yield Rung(
            f"{len(more.index)} calibration images instead of {used}",
            functools.partial(converter.with_calibration, batches),
        )
    for percentile in _CLIP_PERCENTILES:
        settings = Int8Settings(clip_percentile=percentile)
        yield Rung(
            f"ranges of {percentile:.0f} % of the images",
            functools.partial(converter.with_settings, settings),
        )
    for number in _FLOAT_LAYERS if errors else ():
        settings = Int8Settings(float_tensors=diagnosis.worst_tensors(errors, number))
        yield Rung(
            f"the {number} costliest layers in float32",
            functools.partial(converter.with_settings, settings),
        )
    yield Rung(
        f"quantization-aware fine-tuning, {FINE_TUNE_STEPS} steps",
        functools.partial(fine_tuned, converter, FINE_TUNE_STEPS),
    )


def diagnose(converter: TfliteConverter) -> list[diagnosis.LayerError]:
    """Returns the errors of the int8 network's layers and shows the costliest.

    Empty, and said so, where the network has an operator that the diagnosis does not know.
    """
    try:
        errors = diagnosis.layer_errors(
            converter.float_network,
            converter.int8_network(),
            lambda: itertools.islice(converter.images(), _DIAGNOSIS_IMAGES),
            gives_logits=converter.gives_logits,
        )
    except InputError as error:
        print(f"no diagnosis: {error}", flush=True)
        return []
    print(diagnosis.table(errors, _SHOWN_LAYERS), flush=True)
    return errors


def fine_tuned(converter: TfliteConverter, steps: int) -> TfliteConverter:
    """Returns a converter of the network fine-tuned with fake quantization.

    Args:
      converter: with calibration images, which are what is learned from.
      steps: of 8 images.
    """
    network = fine_tuning.fine_tune(
        converter.float_network,
        converter.ranges,
        converter.images,
        converter.settings,
        gives_logits=converter.gives_logits,
        box_scales=converter.box_scales,
        steps=steps,
        on_step=_progress(steps),
    )
    return converter.with_network(network)


def _progress(steps: int) -> Callable[[int, float], None]:
    def say(step: int, loss: float) -> None:
        if step % _STEPS_PER_LINE == 0 or step == steps:
            print(f"  step {step}/{steps}: difference from float {loss:.4f}", flush=True)

    return say
