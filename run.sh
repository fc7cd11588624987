#!/usr/bin/env bash
# Makes the environment once, then hands the verb to its package.
set -euo pipefail

home=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
  cat <<'TEXT'
./run.sh VERB ...          every VERB answers --help

  train                    fine-tune a detector; with no arguments: the sample data set, end to end
  export-tflite            the newest run (or --run DIR) to .tflite, int8 by default
  export-saved-model       the same run to a SavedModel
  evaluate                 COCO metrics of a run, a SavedModel, a hub module or a .tflite on records
  detect                   draw detections on images, folders, videos or a camera
  demo                     a web page: drop a picture, move thresholds, compare models
  benchmark                latency, memory, size and ops of .tflite files, side by side
  convert voc|coco|csv|yolo  annotations to TFRecords
  lint                     the checks of convert, over annotations or TFRecords
  sample-data              write the generated sample data set
  show                     counts, contact sheets and plots of a data set or records
  anchors                  do the config's anchors fit a data set's boxes, and which would
  config check|show        is this pipeline.config obeyed, and what are all its values
  zoo list|fetch|verify    the pretrained checkpoints
  doctor                   what is installed, what is missing, the command that mends it
  test, check              the test suite; lint, types, tests and docs as CI runs them
TEXT
}

verb=${1:-}
case "$verb" in
  train | evaluate | detect | demo | config | zoo | anchors | doctor) module=ssd ;;
  export-tflite | export-saved-model | benchmark) module=export ;;
  convert | lint | show | sample-data) module=tfrecord_tools ;;
  test | check) module=$verb ;;
  "" | -h | --help | help) usage; exit 0 ;;
  --version) sed -n 's/^__version__ = "\(.*\)".*/\1/p' "$home/ssd/__init__.py"; exit 0 ;;
  *) echo "run.sh: $verb: no such verb; ./run.sh --help lists them" >&2; exit 2 ;;
esac

# shellcheck source=environment.sh
source "$home/environment.sh"
requirements=("$home/requirements.txt")
case "$verb" in test | check) requirements+=("$home/requirements/dev.txt") ;; esac
python=$(environment_python "$home" "${requirements[@]}")

export PYTHONPATH="$home${PYTHONPATH:+:$PYTHONPATH}"
# A notebook sets a backend that only its own Python may have; plots are files here.
export MPLBACKEND=Agg
export TF_CPP_MIN_LOG_LEVEL=${TF_CPP_MIN_LOG_LEVEL:-3}

case "$module" in
  test) cd "$home"; exec "$python" -m pytest -m "not slow and not network and not gpu" "${@:2}" ;;
  check) exec "$home/.ci/check" "$python" "${@:2}" ;;
  *) exec "$python" -m "$module" "$@" ;;
esac
