"""TFRecords in, batches out.

Map, in the order of imports:

    record_files, record_index          paths and patterns -> where every record begins
    manifest, record_verification       conversion_report.json; are these the records it lists
    decoder                             the bytes of a record -> image and groundtruth
    record_faults                       why a record cannot be used, in words
    box_table                           the boxes of records, without their pictures
    augmentation, augmentation_builder  data_augmentation_options; pipeline.config -> these
    groundtruth                         boxes of an image -> rows of a fixed number
    example_order                       example number -> record number, also of weighted data sets
    example_source                      example number -> record, decoded and checked
    input_reader, input_pipeline        pipeline.config or plain arguments -> batches
"""
