"""Annotations in, TFRecords out. Knows nothing of models or training; never imports TensorFlow.

Map, in the order of imports:

    annotations, annotation_table     what a file states, what a record holds; in columns
    image_index, file_claims          which picture an annotation means
    voc, coco, csv_boxes, yolo        one format each; readers: by name
    image_check, validation           is the picture sound, are its boxes; what is mended
    tf_example, record_file           one record <-> bytes; many records in a file
    image_record, worker_pool         one record made; many at a time, in processes
    class_names, splits, same_pictures, conversion_plan    what goes where under which number
    sharded_writer, output_folder, split_writer, beam_pipeline    files that are whole or absent
    found_boxes, conversion_report    what was found and done
    convert, lint, lint_records       the journeys
    sample_data                       the generated data set; sample_* draw it
    show                              pictures and plots
"""
