"""TFRecords in, batches out: decoder, augmentation, input pipeline."""
