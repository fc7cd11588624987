/* See ssd_decode.h. */
#include "ssd_decode.h"

#include <math.h>

/* Whether a comes before b: higher score, then lower class, then lower anchor. */
static int comes_before(const ssd_candidate *a, const ssd_candidate *b) {
    if (a->score != b->score) return a->score > b->score;
    if (a->class_index != b->class_index) return a->class_index < b->class_index;
    return a->anchor < b->anchor;
}

/* The work buffer is a heap whose first row is the candidate that comes last. */
static void sink(ssd_candidate *heap, size_t count, size_t place) {
    const ssd_candidate moved = heap[place];
    for (;;) {
        size_t child = 2 * place + 1;
        if (child >= count) break;
        if (child + 1 < count && comes_before(&heap[child], &heap[child + 1])) child++;
        if (!comes_before(&moved, &heap[child])) break;
        heap[place] = heap[child];
        place = child;
    }
    heap[place] = moved;
}

static void rise(ssd_candidate *heap, size_t place) {
    const ssd_candidate moved = heap[place];
    while (place > 0) {
        const size_t parent = (place - 1) / 2;
        if (!comes_before(&heap[parent], &moved)) break;
        heap[place] = heap[parent];
        place = parent;
    }
    heap[place] = moved;
}

/* Turns the heap into a list, the candidate that comes first in front. */
static void sort(ssd_candidate *heap, size_t count) {
    while (count > 1) {
        const ssd_candidate last = heap[0];
        heap[0] = heap[--count];
        heap[count] = last;
        sink(heap, count, 0);
    }
}

static float real_value(int stored, int zero_point, float scale) {
    return (float)(stored - zero_point) * scale;
}

/* The lowest stored score of more than the threshold, or INT8_MAX + 1. */
static int lowest_passing(const ssd_decoding *d) {
    int stored = INT8_MIN;
    while (stored <= INT8_MAX &&
           !(real_value(stored, d->score_zero_point, d->score_scale) > d->score_threshold)) {
        stored++;
    }
    return stored;
}

/* Fills the work buffer with the candidates that come first; returns how many there are. */
static size_t collect(const ssd_decoding *d, const int8_t *scores, ssd_candidate *work,
                      size_t capacity, size_t *num_passing) {
    const int lowest = lowest_passing(d);
    size_t count = 0;
    *num_passing = 0;
    for (uint32_t anchor = 0; anchor < d->num_anchors; anchor++) {
        for (uint16_t class_index = 0; class_index < d->num_classes; class_index++) {
            const int8_t score = *scores++;
            if (score < lowest) continue;
            (*num_passing)++;
            const ssd_candidate candidate = {anchor, class_index, score, {0, 0, 0, 0}};
            if (count < capacity) {
                work[count] = candidate;
                rise(work, count++);
            } else if (count > 0 && comes_before(&candidate, &work[0])) {
                work[0] = candidate;
                sink(work, count, 0);
            }
        }
    }
    sort(work, count);
    return count;
}

/* Writes ycenter, xcenter, height, width of an anchor. */
static void find_anchor(const ssd_decoding *d, uint32_t anchor, float found[4]) {
    if (d->num_levels == 0) {
        for (size_t n = 0; n < 4; n++) found[n] = d->anchors[anchor][n];
        return;
    }
    const ssd_anchor_level *level = d->levels;
    uint32_t size = (uint32_t)level->rows * level->columns * level->anchors_per_cell;
    while (anchor >= size) {
        anchor -= size;
        level++;
        size = (uint32_t)level->rows * level->columns * level->anchors_per_cell;
    }
    const uint32_t cell = anchor / level->anchors_per_cell;
    const float *sides = level->sizes[anchor % level->anchors_per_cell];
    found[0] = (float)(cell / level->columns) * level->y_step + level->y_first;
    found[1] = (float)(cell % level->columns) * level->x_step + level->x_first;
    found[2] = sides[0];
    found[3] = sides[1];
}

/* Writes the corners of a candidate's box, not clipped. */
static void decode_box(const ssd_decoding *d, const int8_t *box_encodings, ssd_candidate *c) {
    const float factors[4] = {d->y_scale, d->x_scale, d->h_scale, d->w_scale};
    float anchor[4], offsets[4];
    find_anchor(d, c->anchor, anchor);
    for (size_t n = 0; n < 4; n++) {
        const int8_t stored = box_encodings[(size_t)c->anchor * 4 + n];
        offsets[n] = real_value(stored, d->box_zero_point, d->box_scale) / factors[n];
    }
    for (size_t axis = 0; axis < 2; axis++) {
        const float center = offsets[axis] * anchor[2 + axis] + anchor[axis];
        const float half = expf(offsets[2 + axis]) * anchor[2 + axis] / 2.0f;
        c->box[axis] = center - half;
        c->box[2 + axis] = center + half;
    }
}

static float area(const float box[4]) {
    return (box[2] - box[0]) * (box[3] - box[1]);
}

static int overlaps(const float a[4], const float b[4], float iou_threshold) {
    const float ymin = a[0] > b[0] ? a[0] : b[0], xmin = a[1] > b[1] ? a[1] : b[1];
    const float ymax = a[2] < b[2] ? a[2] : b[2], xmax = a[3] < b[3] ? a[3] : b[3];
    if (!(ymax > ymin && xmax > xmin)) return 0;
    const float shared = (ymax - ymin) * (xmax - xmin);
    return shared / (area(a) + area(b) - shared) > iou_threshold;
}

/* Whether a candidate stays beside the `count` that were kept. */
static int is_kept(const ssd_decoding *d, const ssd_candidate *kept, size_t count,
                   const ssd_candidate *candidate) {
    size_t in_class = 0;
    for (size_t n = 0; n < count; n++) {
        if (kept[n].class_index != candidate->class_index) continue;
        if (++in_class >= d->max_detections_per_class) return 0;
        if (overlaps(kept[n].box, candidate->box, d->iou_threshold)) return 0;
    }
    return in_class < d->max_detections_per_class;
}

static float clipped(float value) {
    return value < 0.0f ? 0.0f : value > 1.0f ? 1.0f : value;
}

size_t ssd_decode(const ssd_decoding *d, const int8_t *box_encodings, const int8_t *scores,
                  ssd_candidate *work, size_t capacity, ssd_detection *detections,
                  size_t max_detections, size_t *num_passing) {
    size_t passing, kept = 0, found = 0;
    const size_t count = collect(d, scores, work, capacity, &passing);
    if (num_passing != NULL) *num_passing = passing;
    if (max_detections > d->max_total_detections) max_detections = d->max_total_detections;
    for (size_t n = 0; n < count && found < max_detections; n++) {
        ssd_candidate candidate = work[n];
        decode_box(d, box_encodings, &candidate);
        if (!is_kept(d, work, kept, &candidate)) continue;
        work[kept++] = candidate;
        const float box[4] = {clipped(candidate.box[0]), clipped(candidate.box[1]),
                              clipped(candidate.box[2]), clipped(candidate.box[3])};
        /* A box outside the image is no detection, but it has suppressed others. */
        if (!(area(box) > 0.0f)) continue;
        const float score = real_value(candidate.score, d->score_zero_point, d->score_scale);
        const ssd_detection detection = {box[0], box[1], box[2], box[3], score,
                                         candidate.class_index};
        detections[found++] = detection;
    }
    return found;
}
