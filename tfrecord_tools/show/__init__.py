"""Pictures and plots of a data set, for people to look at.

Map, in the order of imports:

    picture_sources              records or annotations -> pictures with their boxes
    summary                      counts, sizes and places of all boxes
    picture_choice               which pictures to look at
    lettering, box_drawing       fonts and colours; boxes drawn onto a picture
    contact_sheet, plots         many pictures on one; classes, sizes, places
    verb                         `show`
"""
