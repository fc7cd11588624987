/* Detections from the outputs of a raw int8 SSD model, for microcontrollers.
 *
 * C99. Allocates nothing, keeps no state, writes only to the buffers it is given. Of the C library
 * it needs expf and nothing else; it is called twice for each box that suppression looks at. The
 * facts of a model come as a generated header:
 *
 *     #include "model_int8_raw_decoding.h"
 *
 *     static ssd_candidate work[400];
 *     static ssd_detection found[MODEL_INT8_RAW_MAX_DETECTIONS];
 *
 *     size_t count = ssd_decode(&model_int8_raw_decoding, box_encodings, scores,
 *                               work, 400, found, MODEL_INT8_RAW_MAX_DETECTIONS, NULL);
 *
 * ssd_decode.py does the same in Python.
 */
#ifndef SSD_DECODE_H
#define SSD_DECODE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The anchors of one feature map: the same boxes around every centre of a grid, row by row, then
 * column by column, then size by size. All lengths are shares of the image. */
typedef struct {
    uint16_t rows, columns, anchors_per_cell;
    float y_first, x_first; /* of the first centre */
    float y_step, x_step;   /* between centres */
    const float (*sizes)[2]; /* [anchors_per_cell]: height, width */
} ssd_anchor_level;

/* What decoding needs to know of a model; a real value is (stored value - zero_point) * scale. */
typedef struct {
    uint32_t num_anchors;
    uint16_t num_classes; /* background not counted */
    float box_scale, score_scale;
    int16_t box_zero_point, score_zero_point;
    float y_scale, x_scale, h_scale, w_scale; /* divide ty, tx, th, tw */
    float score_threshold;                    /* scores of more than this take part */
    float iou_threshold;                      /* overlaps of more than this suppress */
    uint16_t max_detections_per_class;
    uint16_t max_total_detections;
    uint16_t num_levels;            /* 0: `anchors` has them all */
    const ssd_anchor_level *levels; /* [num_levels] */
    const float (*anchors)[4];      /* [num_anchors]: ycenter, xcenter, height, width */
} ssd_decoding;

/* One row of the work buffer; its contents mean nothing outside ssd_decode. */
typedef struct {
    uint32_t anchor;
    uint16_t class_index;
    int8_t score;
    float box[4];
} ssd_candidate;

/* One detection: its corners in shares of the image, clipped to it. */
typedef struct {
    float ymin, xmin, ymax, xmax;
    float score;          /* 0 to 1 */
    uint16_t class_index; /* a line of the labels, counted from 0 */
} ssd_detection;

/* Finds the detections of one image, highest score first; returns how many.
 *
 * Class by class, best score first, a box is kept unless a kept one of its class overlaps it by more
 * than iou_threshold. Boxes are clipped to the image after that; those left without area go; the
 * best of all classes stay. On ties the lower class, then the lower anchor.
 *
 * box_encodings: [num_anchors][4], scores: [num_anchors][num_classes], as the model gives them.
 * work: of `capacity` rows. If more scores are over the threshold, those that come first in the
 *     order above take part, and the others are as if they were not there.
 * detections: receives at most max_detections, and at most max_total_detections.
 * num_passing: if not NULL, receives how many scores were over the threshold, to compare with
 *     `capacity`.
 *
 * A copy of the ssd_decoding with another score_threshold or iou_threshold is decoded by those. */
size_t ssd_decode(const ssd_decoding *decoding, const int8_t *box_encodings, const int8_t *scores,
                  ssd_candidate *work, size_t capacity, ssd_detection *detections,
                  size_t max_detections, size_t *num_passing);

#ifdef __cplusplus
}
#endif

#endif
