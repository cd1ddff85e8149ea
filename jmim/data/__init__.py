"""From files to batches: sources, order, decoding, augmentation."""
