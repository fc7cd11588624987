"""All annotated images of a data set, in columns: about 300 bytes an image and 60 a box."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from tfrecord_tools.annotations import StatedAnnotation

_DIFFICULT, _TRUNCATED, _IS_CROWD, _GROUP_OF = 1, 2, 4, 8
_HAS_SIZE, _IS_NORMALIZED, _HAS_GROUPS = 1, 2, 4


class AnnotationTable(Sequence[StatedAnnotation]):
    """A sequence of StatedAnnotation that builds an item when it is asked for.

    A StatedAnnotation with its arrays takes some 3 kB, ten times what its values need; a data set
    of 100,000 pictures would fill the memory that its conversion does not need otherwise.

    Args:
      folder: what every image name is below.
      images: the first items.

    Attributes:
      folder: as given.
      image_names, files: those fields of the items.
      class_names: of all items, in the order in which they came.
    """

    def __init__(self, folder: Path, images: Iterable[StatedAnnotation] = ()) -> None:
        self.folder = folder
        self.image_names: list[str] = []
        self.files: list[str] = []
        self._sizes = array("i")
        self._image_flags = array("B")
        self._ends = array("q", [0])
        self._numbers = array("q")
        self._boxes = array("d")
        self._area = array("d")
        self._class_indices = array("i")
        self._flags = array("B")
        self._index_of: dict[str, int] = {}
        self.class_names: list[str] = []
        for image in images:
            self.append(image)

    def append(self, image: StatedAnnotation) -> None:
        """Adds one image at the end."""
        assert image.source_id == image.image_name, image.source_id
        self.image_names.append(image.image_name)
        self.files.append(image.file)
        self._sizes.extend(image.image_size or (0, 0))
        flags = _HAS_SIZE * (image.image_size is not None) + _IS_NORMALIZED * image.is_normalized
        self._image_flags.append(flags + _HAS_GROUPS * (image.group_of is not None))
        self._numbers.extend(image.object_numbers)
        self._boxes.frombytes(np.ascontiguousarray(image.boxes_pixels, np.float64).tobytes())
        self._area.frombytes(np.ascontiguousarray(image.area, np.float64).tobytes())
        self._class_indices.extend(self._class_index(name) for name in image.class_names)
        bits = _DIFFICULT * image.difficult + _TRUNCATED * image.truncated
        bits = bits + _IS_CROWD * image.is_crowd
        if image.group_of is not None:
            bits = bits + _GROUP_OF * image.group_of
        self._flags.frombytes(bits.astype(np.uint8).tobytes())
        self._ends.append(len(self._numbers))

    def __len__(self) -> int:
        return len(self.image_names)

    @overload
    def __getitem__(self, position: int) -> StatedAnnotation: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[StatedAnnotation]: ...
    def __getitem__(self, position: int | slice) -> StatedAnnotation | Sequence[StatedAnnotation]:
        if isinstance(position, slice):
            return [self[i] for i in range(*position.indices(len(self)))]
        if not -len(self) <= position < len(self):
            raise IndexError(position)
        i = position % len(self)
        begin, end = self._ends[i], self._ends[i + 1]
        name = self.image_names[i]
        image_flags, bits = self._image_flags[i], np.array(self._flags[begin:end], np.uint8)
        size = (self._sizes[2 * i], self._sizes[2 * i + 1])
        return StatedAnnotation(
            file=self.files[i],
            source_id=name,
            image_name=name,
            image_path=self.folder / name,
            image_size=size if image_flags & _HAS_SIZE else None,
            object_numbers=tuple(self._numbers[begin:end]),
            class_names=tuple(self.class_names[c] for c in self._class_indices[begin:end]),
            boxes_pixels=np.array(self._boxes[4 * begin : 4 * end]).reshape(-1, 4),
            difficult=(bits & _DIFFICULT) > 0,
            truncated=(bits & _TRUNCATED) > 0,
            is_crowd=(bits & _IS_CROWD) > 0,
            area=np.array(self._area[begin:end]),
            is_normalized=bool(image_flags & _IS_NORMALIZED),
            group_of=(bits & _GROUP_OF) > 0 if image_flags & _HAS_GROUPS else None,
        )

    def _class_index(self, name: str) -> int:
        index = self._index_of.setdefault(name, len(self.class_names))
        if index == len(self.class_names):
            self.class_names.append(name)
        return index
