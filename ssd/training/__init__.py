"""Training: from the flags of `train` to a finished run folder.

Map, in the order of a run:

    options, run_data, run_choice   the flags; records and label map; which folder, new or going on
    length, fitted_anchors, config_flags   the config fitted to flags, data and boxes
    plan                            all of it resolved before anything is built: `plan.resolve`
    learner                         detector, optimizer and averages, and the `train_step` on them
    trainable, batch_norm_statistics   which weights move; statistics that belong to the weights
    run_evaluation                  the weights scored on the way, the best of them kept
    session                         the loop: steps, checkpoints, evaluations, the end
    progress, metrics_log           what a person sees on the way; one line per evaluation

Nothing outside imports this room but the command line and `augmentation_sheet`.
"""
