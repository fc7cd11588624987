"""The form `raw` of a .tflite: no custom op, and everything that decodes its outputs beside it.

Such a file gives `box_encodings` [1, A, 4] and `scores` [1, A, C]; in an int8 file both are int8,
in every other one float32. Map, in the order of imports:

    anchor_levels      anchors as a table of regular grids
    facts              what decoding needs to know of a detector and its file
    metadata_writer    the metadata FlatBuffer of such a file, with MediaPipe's decoding options
    c_header           the same facts as a header for ssd_decode.c
    files              what goes into the .tflite, and the files beside it

`ssd_decode.c` and `ssd_decode.h` decode on a microcontroller; in Python `ssd.tflite_raw.ssd_decode`
does.
"""
