"""What people look at after an evaluation: curves, confusions, the worst images, one page.

Map, in the order of imports:

    matching          which detections of an image are hits, by COCO's rules at IoU 0.5
    curves            precision over recall, and the score threshold that serves best
    analysis          both for all images of an evaluation; confusions of classes
    worst, choice     which images to look at: the worst ones; always the same ones
    pictures          these images, drawn: detections beside groundtruth
    detection_store   the detections of the best weights on disk, for a run that is resumed
    plot_style, training_plots, detection_plots, confusion_plot   figures
    page_style, page_parts, page   the HTML around them
    report, of_evaluation   all of it into a folder: report.html and report/*; that of `evaluate`
"""
