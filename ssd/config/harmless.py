"""Settings that may stand in a pipeline.config without being acted on, and what is refused why.

HARMLESS is short on purpose: a setting belongs here only if no value of it can change a number
that comes out of training, evaluation or export.
"""

from __future__ import annotations

_ORDER = "Only the speed and the order of reading; with shuffle, all records are shuffled."
_TF1_QUEUE = "Queue sizes of the TF1 input pipeline."
_DRAWING = "Only what is drawn into TensorBoard: here always 8 images, from score 0.3 on."
_DISTRIBUTION = "TF1 parameter servers and TPUs only; replicas of one machine train in step."
_TF1_EVALUATION = "Concerns the original's separate evaluation process."

_INPUT_READER: dict[str, str] = {
    "name": "A label for people.",
    "shuffle_buffer_size": _ORDER,
    "filenames_shuffle_buffer_size": _ORDER,
    "num_readers": _ORDER,
    "num_parallel_batches": _ORDER,
    "num_prefetch_batches": _ORDER,
    "read_block_length": _ORDER,
    "queue_capacity": _TF1_QUEUE,
    "min_after_dequeue": _TF1_QUEUE,
    "prefetch_size": _TF1_QUEUE,
    "num_parallel_map_calls": _TF1_QUEUE,
    "mask_type": "Says how masks are stored; none are read.",
    "frame_index": "Only for sequence examples, which are refused.",
    "use_display_name": "Class text is looked up among names and display names in any case.",
    "include_source_id": "The source id is always read.",
    "load_multiclass_scores": "Used with train_config.use_multiclass_scores, which is refused.",
}

HARMLESS: dict[str, str] = {
    "graph_rewriter": (
        "The original ignores it under TF2: training is in float, and export-tflite quantizes the "
        "trained model and measures what that costs."
    ),
    "model.ssd.inplace_batchnorm_update": "Has no effect in the original under TF2 either.",
    "model.ssd.return_raw_detections_during_predict": "Raw boxes are part of every export.",
    "model.ssd.matcher.argmax_matcher.use_matmul_gather": "Another way to the same numbers.",
    "model.ssd.post_processing.batch_non_max_suppression.use_cpu_nms": "Where it runs.",
    **{
        f"model.ssd.loss.{loss}.anchorwise_output": "Not read by the original's loss builder."
        for loss in (
            "localization_loss.weighted_l2",
            "localization_loss.weighted_smooth_l1",
            "classification_loss.weighted_sigmoid",
            "classification_loss.weighted_softmax",
            "classification_loss.weighted_logits_softmax",
            "classification_loss.bootstrapped_sigmoid",
            "classification_loss.weighted_sigmoid_focal",
        )
    },
    "model.ssd.feature_extractor.replace_preprocessor_with_placeholder": (
        "Concerns the graph of the original's own export."
    ),
    "model.ssd.loss.equalization_loss.exclude_prefixes": "Used with a weight, which is refused.",
    "model.ssd.matcher.bipartite_matcher.use_matmul_gather": "Another way to the same numbers.",
    "train_config.sync_replicas": _DISTRIBUTION,
    "train_config.replicas_to_aggregate": _DISTRIBUTION,
    "train_config.startup_delay_steps": _DISTRIBUTION,
    "train_config.use_bfloat16": "Works on TPUs only; elsewhere --precision is the switch.",
    "train_config.batch_queue_capacity": _TF1_QUEUE,
    "train_config.num_batch_queue_threads": _TF1_QUEUE,
    "train_config.prefetch_queue_capacity": _TF1_QUEUE,
    "train_config.keep_checkpoint_every_n_hours": "Which old checkpoints are kept on disk.",
    "train_config.run_fine_tune_checkpoint_dummy_computation": (
        "How the original creates its variables before it restores them."
    ),
    "train_config.unpad_groundtruth_tensors": (
        "Padded boxes never count; this only says where the padding is taken off."
    ),
    "train_config.retain_original_images": _DRAWING,
    "train_config.summarize_gradients": _DRAWING,
    **{
        f"train_config.data_augmentation_options.{field}": "Keypoints are not read."
        for field in (
            "random_horizontal_flip.keypoint_flip_permutation",
            "random_vertical_flip.keypoint_flip_permutation",
            "random_rotation90.keypoint_rot_permutation",
        )
    },
    **{f"train_input_reader.{field}": why for field, why in _INPUT_READER.items()},
    "eval_config.num_visualizations": _DRAWING,
    "eval_config.min_score_threshold": _DRAWING,
    "eval_config.max_num_boxes_to_visualize": _DRAWING,
    "eval_config.skip_scores": _DRAWING,
    "eval_config.skip_labels": _DRAWING,
    "eval_config.visualize_groundtruth_boxes": _DRAWING,
    "eval_config.groundtruth_box_visualization_color": _DRAWING,
    "eval_config.keep_image_id_for_visualization_export": _DRAWING,
    "eval_config.retain_original_images": _DRAWING,
    "eval_config.keypoint_edge": _DRAWING,
    "eval_config.save_graph": _TF1_EVALUATION,
    "eval_config.eval_master": _TF1_EVALUATION,
    "eval_config.max_evals": _TF1_EVALUATION,
    "eval_config.eval_interval_secs": _TF1_EVALUATION + " --eval-every is the switch here.",
    "eval_config.num_examples": "Every record is evaluated, as the original does under TF2.",
    "eval_config.retain_original_image_additional_channels": _DRAWING,
    "eval_config.use_dummy_loss_in_eval": "An evaluation computes no loss.",
    "eval_config.image_classes_field_map_empty_to_ones": (
        "Image-level labels, which only metrics that are refused know, are not read."
    ),
    **{f"eval_input_reader.{field}": why for field, why in _INPUT_READER.items()},
    "eval_input_reader.drop_remainder": "Every record is evaluated.",
    "eval_input_reader.num_epochs": "An evaluation is one pass, as the original forces it to be.",
}

_NO_CALIBRATOR = (
    "the original has no calibrator for it and refuses it too; use function_approximation."
)

# A better sentence for settings people do have; the rest gets a general one.
REFUSED: dict[str, str] = {
    "model.ssd.post_processing.calibration_config.sigmoid_calibration": _NO_CALIBRATOR,
    "model.ssd.post_processing.calibration_config.class_id_sigmoid_calibrations": _NO_CALIBRATOR,
    "train_config.data_augmentation_options.convert_class_logits_to_softmax": (
        "not supported: multiclass scores are not read, so there is nothing to convert; remove it."
    ),
    "train_config.use_multiclass_scores": (
        "not supported: only class labels are read from records, no scores; remove it."
    ),
    "model.ssd.mask_head_config": "instance masks are not supported; remove it.",
    "eval_config.visualization_export_dir": "not supported; `detect` draws and writes pictures.",
    "eval_config.ignore_groundtruth": (
        "not supported: metrics need groundtruth; `detect --json` writes detections without it."
    ),
    "eval_config.skip_predictions_for_unlabeled_class": (
        "not supported: which classes an image was labeled for is not read; remove it (the "
        "original does not read it from TFRecords either, and skips nothing)."
    ),
    "eval_input_reader.sample_from_datasets_weights": (
        "not supported: every record is evaluated once; remove it."
    ),
    "eval_config.force_no_resize": (
        "not supported: what is evaluated is what is trained and exported; for images of their own "
        "size set model.ssd.image_resizer.identity_resizer."
    ),
    "eval_config.eval_instance_masks": "instance masks are not supported; remove it.",
    "eval_config.export_path": "not supported; `detect --json` writes detections.",
}
