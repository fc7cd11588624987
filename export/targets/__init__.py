"""Who a file is for: `--target`, the consumer's rules checked before the file is written.

Map, in the order of imports:

    findings         what a check found: problems, facts, lines for the screen
    presets          the targets by name: forms and quantizations they take, and `check`
    file_graph       a .tflite as a list of ops on named tensors
    supported_ops    which ops an accelerator or a runtime has, with sources
    op_rules         ops outside such a list, ops in float, sizes that are not fixed
    task_metadata    what the task libraries want of metadata
    task_libraries   mediapipe and android-task
    edge_tpu         edgetpu
    vela             Arm's compiler, where it is installed
    ethos_u          ethos-u
    arena            memory that TensorFlow Lite Micro needs for a file
    micro            micro

`--help` needs the names only, so what looks into files is imported when it does.
"""

from export.targets.findings import Findings
from export.targets.presets import TARGETS, check, options_for, require_options

__all__ = ["TARGETS", "Findings", "check", "options_for", "require_options"]
