"""One annotation format each -> an AnnotationSet; nothing is checked against the pictures yet.

Map, in the order of imports:

    image_index, file_claims                    which picture an annotation means
    voc_file, voc                               Pascal VOC XML
    coco_segments, coco_file, coco_columns, coco    COCO detection JSON
    csv_layouts, csv_text, via_regions, csv_rows, csv_columns, open_images_names, csv_boxes    CSV
    yolo_names, yolo_file, yolo                 YOLO
    by_name                                     the formats by name, and which one a path holds
"""
