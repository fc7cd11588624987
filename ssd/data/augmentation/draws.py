"""What the ops of this package are, and the random numbers they draw.

Every number comes from a seed, an int32 or int64 tensor [2], and from nothing else: the same seed
gives the same number eagerly and inside tf.data, in any process. An op that draws more than one
number makes a seed for each with `fold_in`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from ssd.data.decoder import Example

__all__ = ["Augmentation", "Example", "chance", "fold_in", "uniform"]

# Takes (example, seed int32 or int64 [2]), returns an example.
Augmentation = Callable[[Example, tf.Tensor], Example]


def fold_in(seed: tf.Tensor, number: int | tf.Tensor) -> tf.Tensor:
    """Returns the seed [2] that `seed` and a number make together, independent of both."""
    return tf.random.experimental.stateless_fold_in(seed, tf.cast(number, seed.dtype))


def uniform(
    seed: tf.Tensor,
    minval: float | tf.Tensor = 0.0,
    maxval: float | tf.Tensor = 1.0,
    *,
    shape: Sequence[int] | tf.Tensor = (),
    dtype: tf.DType = tf.float32,
) -> tf.Tensor:
    """Returns draws from [minval, maxval); maxval is not drawn, of integers either."""
    low, high = tf.cast(minval, dtype), tf.cast(maxval, dtype)
    return tf.random.stateless_uniform(shape, seed, minval=low, maxval=high, dtype=dtype)


def chance(seed: tf.Tensor, probability: float | tf.Tensor) -> tf.Tensor:
    """Returns bool []: True in `probability` of the cases; never at 0, always at 1."""
    return uniform(seed) < probability
