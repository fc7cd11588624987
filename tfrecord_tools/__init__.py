"""Annotations in, TFRecords out. Knows nothing of models or training; never imports TensorFlow.

Map, in the order of imports:

    annotations, annotation_table     what a file states, what a record holds; in columns
    readers                           one annotation format each
    image_check, exif_view, validation    is the picture sound, are its boxes; what is mended
    tf_example, record_file           one record <-> bytes; many records in a file
    image_record, worker_pool         one record made; many at a time, in processes
    class_names, splits, same_pictures, conversion_plan    what goes where under which number
    sharded_writer, output_folder, split_writer, beam_pipeline    files that are whole or absent
    found_boxes, conversion_report    what was found and done
    convert, lint, lint_records       the journeys
    sample                            the generated data set
    show                              pictures and plots
"""
