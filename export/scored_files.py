"""The files of one export made and scored, and helped where they lose too much."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from export import ladder, targets, verify
from export.file_maker import FileMaker, stem_of
from export.options import CLASS_WISE, FORMS, QUANTIZE_CHOICES, REQUESTED, TfliteOptions
from export.quantization import calibration
from export.quantization.calibration import CalibrationSet
from export.report import Attempt, build_report
from export.source import ExportSource, Records
from export.tflite import TfliteConverter
from export.verify import Score, ScoredFile
from ssd.errors import InputError
from ssd.tflite_predictor import TflitePredictor

_NUM_THREADS = 2


class ScoredExport:
    """The files of one command, with their scores.

    Args:
      exported: what is exported.
      options: how.
      validation: records that score the files.
      images: that calibrate int8 files; None where there are none.
      maker: writes them.

    Attributes:
      scored: the files, as far as they are made.
      target_facts: by file name, what the target's check found out.
    """

    def __init__(
        self,
        exported: ExportSource,
        options: TfliteOptions,
        validation: Records,
        images: CalibrationSet | None,
        maker: FileMaker,
    ) -> None:
        self.exported = exported
        self.options = options
        self.validation = validation
        self.images = images
        self.maker = maker
        self.scored: list[ScoredFile] = []
        self.target_facts: dict[str, dict[str, Any]] = {}

    def make_all(self) -> dict[str, Any]:
        """Makes and scores every file, helps those that lose too much, and returns the report.

        Raises:
          GateError: a file lost more than allowed, whatever was tried.
        """
        converter = self._converter()
        options = self.options
        checkpoint = self._checkpoint_score()
        attempts: list[Attempt] = []
        for form in FORMS[options.form]:
            for quantize in QUANTIZE_CHOICES[options.quantize]:
                self.scored.append(self._make(converter, form, quantize))
        print(verify.table(checkpoint, self.scored), flush=True)
        if options.nms == CLASS_WISE and options.max_detections is None:
            verify.require_as_checkpoint(checkpoint, self.scored, options.max_map_drop)
        if self.images and self._lost():
            attempts = self._climb(converter, self.images)
            print(verify.table(checkpoint, self.scored), flush=True)
        verify.require_accuracy(self.scored, options.max_map_drop)
        return build_report(
            self.exported,
            options,
            self.validation,
            self.images,
            checkpoint,
            self.scored,
            num_calibration_images=len(converter.ranges.low) if self.images else 0,
            attempts=attempts,
            target_facts=self.target_facts,
        )

    def _converter(self) -> TfliteConverter:
        exported, images, options = self.exported, self.images, self.options
        batches = None
        if images:
            batches = calibration.batches(images, exported.detector, exported.label_map)
        converter = TfliteConverter(
            exported.detector, batches, until_converged=options.calibration_images is None
        )
        if images:
            number = len(converter.ranges.low)
            print(f"calibrated with {number} of {images.available} images", flush=True)
            if options.fine_tune_steps:
                print(f"quantization-aware fine-tuning, {options.fine_tune_steps} steps")
                converter = ladder.fine_tuned(converter, options.fine_tune_steps)
        return converter

    def _make(self, converter: TfliteConverter, form: str, quantize: str) -> ScoredFile:
        print(f"converting {stem_of(form, quantize)}.tflite", flush=True)
        path = self.maker.make(converter, form, quantize)
        if self.options.target and quantize in REQUESTED[self.options.quantize]:
            self._check_target(self.options.target, path, form, quantize)
            if self._as_the_target_rounds(quantize):
                print("  scored with LiteRT's reference kernels, which round as the target's do")
        predictor = TflitePredictor(
            path, num_threads=_NUM_THREADS, reference_kernels=self._as_the_target_rounds(quantize)
        )
        # Labels inside are for people; records may call the same classes by other names.
        predictor.label_map = self.exported.label_map
        score = verify.score(predictor, self.validation.patterns, self.exported.label_map)
        return ScoredFile(path.name, form, quantize, path.stat().st_size, score)

    def _as_the_target_rounds(self, quantize: str) -> bool:
        target = self.options.target
        if target is None or quantize != "int8":
            return False
        return targets.options_for(target).has_reference_kernels

    def _check_target(self, target: str, path: Path, form: str, quantize: str) -> None:
        found = targets.check(target, path.read_bytes(), form, quantize)
        for line in found.lines:
            print(line, flush=True)
        found.require_none()
        self.maker.add({f"{path.stem}_{name}": data for name, data in found.files.items()})
        kernels = "reference" if self._as_the_target_rounds(quantize) else "fast"
        self.target_facts[path.name] = {"scored_with_kernels": kernels, **found.facts}

    def _checkpoint_score(self) -> Score:
        if self.validation.patterns:
            print(f"scoring on {', '.join(self.validation.patterns)}", flush=True)
        exported = self.exported
        return verify.score(exported.predictor, self.validation.patterns, exported.label_map)

    def _lost(self) -> list[ScoredFile]:
        """The int8 files that lost more than allowed."""
        lost = verify.losses(self.scored, self.options.max_map_drop)
        return [file for file in lost if file.quantize == "int8"]

    def _climb(self, converter: TfliteConverter, images: CalibrationSet) -> list[Attempt]:
        """Makes the int8 files in other ways until they lose no more than allowed."""
        errors = ladder.diagnose(converter)
        attempts = []
        for rung in ladder.rungs(converter, images, self.exported, errors):
            print(f"{self._lost()[0].name} lost too much; trying {rung.name}", flush=True)
            try:
                other = rung.converter()
            except InputError as error:
                print(f"  not possible: {error}", flush=True)
                continue
            files = [f for f in self.scored if f.quantize == "int8"]
            made = [self._make(other, file.form, file.quantize) for file in files]
            self.scored = [next((m for m in made if m.name == f.name), f) for f in self.scored]
            attempts.append(self._attempt(rung.name, made))
            if not self._lost():
                break
        return attempts

    def _attempt(self, name: str, made: Sequence[ScoredFile]) -> Attempt:
        drops = {
            file.name: verify.drop(verify.float_twin(file, self.scored).score, file.score)
            for file in made
        }
        said = ", ".join(
            f"{file} {points:.2f}" for file, points in drops.items() if points is not None
        )
        print(f"  {name}: drop {said}", flush=True)
        return Attempt(name, {file.name: file.score.ap for file in made}, drops)
