"""Do a config's anchors fit the boxes of a data set, and which would fit better.

Map, in the order of imports:

    recall       the best IoU of every box with the model's own anchors; `anchor-recall`
    clusters     k-means of box shapes by IoU
    search       which settings of an anchor generator are worth a try
    suggestion   the best of them, in the words of a pipeline.config
    text, plot   what the person sees
    report       the `anchors` verb
"""
