"""Training: from the flags of `train` to a finished run folder.

Map, in the order of a run:

    options, run_data, data_identity   the flags; records and label map; which records these are
    run_choice                      which folder, new or going on
    length, fitted_anchors, config_flags   the config fitted to flags, data and boxes
    plan                            all of it resolved before anything is built: `plan.resolve`
    learner                         detector, optimizer and averages, and the `train_step` on them
    trainable, batch_norm_statistics   which weights move; statistics that belong to the weights
    run_evaluation                  the weights scored on the way, the best of them kept
    before_training, run_start      a batch before the model; a run restored, or begun
    session                         the loop: steps, checkpoints, evaluations, the end
    interrupts, input_watch         signals between two steps; input that does not come
    write_faults, batch_counts      a disk that is full; batches that teach nothing
    determinism                     equal to the bit
    progress, metrics_log           what a person sees on the way; one line per evaluation

Nothing outside imports this room but the command line and `augmentation_sheet`.
"""
