/* Decodes the outputs of one model: the header MODEL_HEADER, its names MODEL, its macros MACRO. */
#include <stdio.h>

#include MODEL_HEADER

#define JOINED(a, b) a##b
#define JOIN(a, b) JOINED(a, b)

static ssd_candidate work[300];
static ssd_detection found[JOIN(MACRO, _MAX_DETECTIONS)];
static int8_t encodings[JOIN(MACRO, _NUM_ANCHORS) * 4];
static int8_t scores[JOIN(MACRO, _NUM_ANCHORS) * JOIN(MACRO, _NUM_CLASSES)];

int main(void) {
    if (fread(encodings, sizeof encodings, 1, stdin) != 1) return 3;
    if (fread(scores, sizeof scores, 1, stdin) != 1) return 3;
    const size_t count = ssd_decode(&JOIN(MODEL, _decoding), encodings, scores, work, 300, found,
                                    JOIN(MACRO, _MAX_DETECTIONS), NULL);
    for (size_t n = 0; n < count; n++) {
        printf("%s\n%.9g %.9g %.9g %.9g %.9g\n", JOIN(MODEL, _labels)[found[n].class_index],
               found[n].score, found[n].ymin, found[n].xmin, found[n].ymax, found[n].xmax);
    }
    return 0;
}
