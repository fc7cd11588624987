"""Names for what tensor functions take."""

from __future__ import annotations

from typing import Union

import numpy as np
import tensorflow as tf

TensorLike = Union[tf.Tensor, np.ndarray]  # noqa: UP007 (evaluated at run time on Python 3.10)
