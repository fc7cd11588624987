"""A web page on this machine: drop a picture, move thresholds, compare models.

Map, in the order of imports:

    comparison     what is shown of the detections, and which boxes two models agree on
    contestants    the models that are compared: which, their names, their detections and times
    tables         rows of the page's tables, and the JSON document
    val_pictures   pictures of a data folder, to pick from
    actions        what happens on the page, in plain values
    page           its parts, and which of them call what; gradio is handed in
    server         the verb: gradio, its settings, the port, Ctrl-C

Only `server` imports gradio, which is not in requirements.txt.
"""
