"""Formats with one annotation file per picture: which file is about which picture."""

from __future__ import annotations

from collections.abc import Iterable

from tfrecord_tools.annotation_table import AnnotationTable
from tfrecord_tools.annotations import ProblemLog, StatedAnnotation
from tfrecord_tools.readers.image_index import ImageIndex, basename, fold, stem


class FileClaims:
    """Collects what annotation files say, and settles whose picture each one is.

    Args:
      index: the pictures.
      log: gets files that come second for their picture, and pictures without a file.
    """

    def __init__(self, index: ImageIndex, log: ProblemLog) -> None:
        self._index = index
        self._log = log
        self._table = AnnotationTable(index.folder)
        self._first: dict[str, int] = {}
        self._others: dict[str, list[int]] = {}

    def add(self, stated: StatedAnnotation) -> None:
        """Notes what one file says about the picture that it seems to mean."""
        position = len(self._table)
        self._table.append(stated)
        if self._first.setdefault(stated.image_name, position) != position:
            self._others.setdefault(stated.image_name, []).append(position)

    def settle(self, own_stems: Iterable[str], extension: str) -> AnnotationTable:
        """Returns one annotation per picture, sorted by its name.

        Of several files of one picture the one with its name counts, else the first.

        Args:
          own_stems: folded stems of all annotation files, the unusable ones too.
          extension: of the annotation files, for messages.
        """
        table = self._table
        for image_name, others in self._others.items():
            claims = [self._first[image_name], *others]
            best, *rest = sorted(claims, key=lambda i: (not self._is_namesake(i), i))
            self._first[image_name] = best
            for position in rest:
                detail = f"{image_name} is annotated by {table.files[best]} already; left out"
                self._log.add("duplicate-image", table.files[position], detail)
        claimed = {*own_stems, *(fold(stem(name)) for name in self._first)}
        for name in self._index.names:
            if name not in self._first and fold(stem(name)) not in claimed:
                where = str(self._index.folder / name)
                detail = f"no {extension} file is about this picture; left out"
                self._log.add("annotation-missing", where, detail)
        order = [self._first[name] for name in sorted(self._first)]
        if order == list(range(len(table))):
            return table
        return AnnotationTable(self._index.folder, (table[i] for i in order))

    def _is_namesake(self, position: int) -> bool:
        file, image_name = self._table.files[position], self._table.image_names[position]
        return fold(stem(image_name)) == own_stem(file)


def own_stem(file: str) -> str:
    """Returns the folded stem that the picture of an annotation file has, by the file's name.

    >>> own_stem("labels/Shot.1.txt"), own_stem("shot.jpg.xml")
    ('shot.1', 'shot')
    """
    return fold(stem(bare_name(file)))


def bare_name(file: str) -> str:
    """Returns the last part of a path without its last extension."""
    return basename(file).rpartition(".")[0]
