"""Command line of the engine: train, evaluate, detect, demo, config, zoo, anchors, doctor."""

from __future__ import annotations

import sys

from ssd.errors import EXIT_INPUT, run_command
from ssd.flags import parser


def main(argv: list[str]) -> None:
    """Parses `argv` (verb first) and runs the verb."""
    arguments = vars(parser().parse_args(argv))
    _VERBS[arguments.pop("verb")](arguments)


# Every verb imports what it needs itself: `--help` answers without TensorFlow.


def _train(arguments: dict) -> None:
    from ssd.training import cluster
    from ssd.training import plan as plans
    from ssd.training.options import TrainOptions

    arguments["overrides"] = tuple(arguments["overrides"])
    options = TrainOptions(**arguments)
    if options.deterministic:
        # Before the plan, which looks at boxes with TensorFlow.
        from ssd.training import determinism

        determinism.make_deterministic()
    if cluster.from_environment():
        # Before the flags have proved right: workers meet before anything touches TensorFlow.
        from ssd.training import workers

        workers.train(options)
        return
    plan = plans.resolve(options)
    # After the flags have proved right: TensorFlow takes its time to load.
    from ssd.training import session

    session.run(plan, options)


def _evaluate(arguments: dict) -> None:
    from ssd import evaluate

    evaluate.run(**arguments)


def _detect(arguments: dict) -> None:
    from ssd import detect, label_map

    path = arguments["label_map"]
    arguments["label_map"] = label_map.load(path) if path else None
    detect.run(**arguments)


def _demo(arguments: dict) -> None:
    from ssd.demo import server

    server.run(**arguments)


def _config(arguments: dict) -> None:
    from ssd.config import cli

    if arguments["action"] == "show":
        cli.show(arguments["file"], arguments["overrides"])
    elif not cli.check(arguments["files"], arguments["as_json"]):
        # The lines are printed already; scripts read the code.
        sys.exit(EXIT_INPUT)


def _zoo(arguments: dict) -> None:
    from ssd import zoo

    action = arguments["action"]
    if action == "list":
        zoo.list_models()
    elif action == "fetch":
        print(zoo.fetch(arguments["name"]))
    else:
        zoo.verify(arguments["name"])


def _doctor(arguments: dict) -> None:
    from ssd import doctor

    if not doctor.print_report(arguments["as_json"]):
        sys.exit(EXIT_INPUT)


def _anchors(arguments: dict) -> None:
    from ssd.anchor_fit import report

    report.run(**arguments)


def _anchor_recall(arguments: dict) -> None:
    from ssd.anchor_fit import recall

    recall.run(**arguments)


def _augmentation_sheet(arguments: dict) -> None:
    from ssd import augmentation_sheet

    augmentation_sheet.run(**arguments)


_VERBS = {
    "train": _train,
    "evaluate": _evaluate,
    "detect": _detect,
    "demo": _demo,
    "config": _config,
    "zoo": _zoo,
    "anchors": _anchors,
    "anchor-recall": _anchor_recall,
    "doctor": _doctor,
    "augmentation-sheet": _augmentation_sheet,
}


if __name__ == "__main__":
    verb = sys.argv[1] if len(sys.argv) > 1 else "ssd"
    # People meet the sheet as `show --augment`, which hands over to it.
    verb = {"augmentation-sheet": "show"}.get(verb, verb)
    # Only the data tools call this one, and put their own name before what it says.
    prog = verb if verb == "anchor-recall" else f"run.sh {verb}"
    sys.exit(run_command(lambda: main(sys.argv[1:]), prog))
