/* Decodes what it reads from stdin; tests compile it with ssd_decode.c.
 *
 * Buffers have exactly the sizes that the header asks for, so that a sanitizer sees every step
 * beyond them. Numbers are those of the machine, one after the other as read below. */
#include <stdio.h>
#include <stdlib.h>

#include "ssd_decode.h"

static void read_into(void *target, size_t size, size_t count) {
    if (fread(target, size, count, stdin) != count) exit(3);
}

static uint32_t read_u32(void) {
    uint32_t value;
    read_into(&value, sizeof value, 1);
    return value;
}

static void *buffer(size_t size, size_t count) {
    void *made = malloc(size * count + (size * count == 0));
    if (made == NULL) exit(4);
    return made;
}

int main(void) {
    ssd_decoding d = {0};
    float reals[8];
    d.num_anchors = read_u32();
    d.num_classes = (uint16_t)read_u32();
    d.max_detections_per_class = (uint16_t)read_u32();
    d.max_total_detections = (uint16_t)read_u32();
    d.box_zero_point = (int16_t)(int32_t)read_u32();
    d.score_zero_point = (int16_t)(int32_t)read_u32();
    read_into(reals, sizeof *reals, 8);
    d.box_scale = reals[0];
    d.score_scale = reals[1];
    d.y_scale = reals[2];
    d.x_scale = reals[3];
    d.h_scale = reals[4];
    d.w_scale = reals[5];
    d.score_threshold = reals[6];
    d.iou_threshold = reals[7];
    const size_t capacity = read_u32();
    const size_t max_detections = read_u32();

    float(*anchors)[4] = buffer(sizeof *anchors, d.num_anchors);
    d.anchors = (const float(*)[4])anchors;
    read_into(anchors, sizeof *anchors, d.num_anchors);
    int8_t *encodings = buffer(4, d.num_anchors);
    read_into(encodings, 4, d.num_anchors);
    int8_t *scores = buffer(d.num_classes, d.num_anchors);
    read_into(scores, d.num_classes, d.num_anchors);
    ssd_candidate *work = buffer(sizeof *work, capacity);
    ssd_detection *found = buffer(sizeof *found, max_detections);

    size_t num_passing;
    const size_t count = ssd_decode(&d, encodings, scores, work, capacity, found, max_detections,
                                    &num_passing);
    printf("%lu\n", (unsigned long)num_passing);
    for (size_t n = 0; n < count; n++) {
        printf("%u %.9g %.9g %.9g %.9g %.9g\n", found[n].class_index, found[n].score,
               found[n].ymin, found[n].xmin, found[n].ymax, found[n].xmax);
    }
    free(anchors);
    free(encodings);
    free(scores);
    free(work);
    free(found);
    return 0;
}
