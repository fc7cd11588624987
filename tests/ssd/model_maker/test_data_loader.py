from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ssd.data.record_index import index_records
from ssd.errors import InputError
from ssd.model_maker.object_detector import DataLoader
from tfrecord_tools.record_file import read_records

CLASSES = ["bolt", "nut", "washer"]


def voc(folder: Path, **more) -> DataLoader:
    return DataLoader.from_pascal_voc(
        str(folder / "images"), str(folder / "annotations"), CLASSES, **more
    )


def records(loader: DataLoader) -> set[bytes]:
    index = index_records(list(loader.patterns))
    return {bytes(index.read(number)) for number in range(len(index))}


class TestPascalVoc:
    def test_all_of_a_folder(self, tiny_voc, tmp_path):
        loader = voc(tiny_voc, cache_dir=str(tmp_path), cache_prefix_filename="mine", num_shards=2)
        assert (len(loader), loader.size) == (6, 6)
        assert loader.label_map == {1: "bolt", 2: "nut", 3: "washer"}
        assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
            "conversion_report.json",
            "label_map.pbtxt",
            "train-00000-of-00002.tfrecord",
            "train-00001-of-00002.tfrecord",
        ]
        assert loader.label_map_file == tmp_path / "mine/label_map.pbtxt"
        assert len(DataLoader.from_cache(str(tmp_path / "mine"))) == 6

    def test_some_of_them(self, tiny_voc):
        assert len(voc(tiny_voc, annotation_filenames=["p1", "p4.xml"])) == 2
        assert len(voc(tiny_voc, max_num_images=3)) == 3
        with pytest.raises(InputError, match=r"annotation_filenames: p9: no p9\.xml in "):
            voc(tiny_voc, annotation_filenames=["p1", "p9"])

    def test_difficult_objects(self, tiny_voc, tmp_path):
        for name in ("images", "annotations"):
            shutil.copytree(tiny_voc / name, tmp_path / name)
        file = tmp_path / "annotations/p4.xml"
        text = file.read_text().replace("<name>nut", "<difficult>1</difficult><name>nut")
        file.write_text(text)
        kept, left = (
            voc(tmp_path, annotation_filenames=["p4"], ignore_difficult_instances=ignore)
            for ignore in (False, True)
        )
        assert b"nut" in next(iter(records(kept)))
        (record,) = records(left)
        assert b"nut" not in record
        assert b"washer" in record
        assert file.read_text() == text

    def test_the_converter_speaks(self, tiny_voc, capsys):
        with pytest.raises(InputError, match="unknown-class 'nut': not among the 2 of "):
            DataLoader.from_pascal_voc(
                str(tiny_voc / "images"), str(tiny_voc / "annotations"), ["bolt", "washer"]
            )
        with pytest.raises(InputError, match="images_dir='none': no such folder"):
            DataLoader.from_pascal_voc("none", str(tiny_voc), CLASSES)
        voc(tiny_voc, max_num_images=2)
        assert "annotation-missing 4" in capsys.readouterr().out


ROWS = """\
TRAIN,{at}p0.png,bolt,0.1,0.25,,,0.45,0.9,,
TRAIN,{at}p1.png,nut,0.05,0.1,0.95,0.1,0.95,0.55,0.05,0.55
TRAIN,{at}p1.png,bolt,0.5,0.6,,,0.8,0.95,,
VALIDATION,{at}p2.png,washer,0.1,0.35,,,0.8,0.95,,
TEST,{at}p4.png,bolt,0.02,0.05,,,0.3,0.4,,
VALIDATE,{at}p5.png,nut,0.2,0.2,,,0.7,0.4,,
TEST,{at}p3.png,,,,,,,,,
"""


def write_csv(folder: Path, at: str, rows: str = ROWS) -> str:
    (folder / "a.csv").write_text(rows.format(at=at))
    return str(folder / "a.csv")


class TestCsv:
    def test_three_sets(self, tiny_voc, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        file = write_csv(tmp_path, f"{tiny_voc}/images/")
        loaders = DataLoader.from_csv(
            file, cache_dir="cache", cache_prefix_filename="s", max_num_images=2
        )
        assert [len(loader) for loader in loaders] == [2, 2, 2]
        assert {str(loader.label_map) for loader in loaders} == {
            str({1: "bolt", 2: "nut", 3: "washer"})
        }
        again = [
            DataLoader.from_cache(f"cache/s/{name}") for name in ("train", "validation", "test")
        ]
        assert [records(loader) for loader in again] == [records(loader) for loader in loaders]
        with pytest.raises(InputError, match=r"cache/t: no train-\*\.tfrecord; CACHE_DIR/PREFIX"):
            DataLoader.from_cache("cache/t")

    @pytest.mark.parametrize("at", ["gs://bucket/salads/", "elsewhere/", ""])
    def test_names_are_enough_with_a_folder(self, at, tiny_voc, tmp_path):
        loaders = DataLoader.from_csv(write_csv(tmp_path, at), images_dir=str(tiny_voc / "images"))
        assert [len(loader) for loader in loaders] == [2, 2, 2]

    def test_beside_the_csv(self, tiny_voc, tmp_path):
        (tmp_path / "images").symlink_to(tiny_voc / "images")
        loaders = DataLoader.from_csv(write_csv(tmp_path, "images/"))
        assert [len(loader) for loader in loaders] == [2, 2, 2]

    def test_a_set_that_is_not_there(self, tiny_voc, tmp_path):
        rows = "".join(line for line in ROWS.splitlines(True) if not line.startswith("TEST"))
        loaders = DataLoader.from_csv(
            write_csv(tmp_path, "", rows), images_dir=str(tiny_voc / "images"), max_num_images=1
        )
        assert [loader and len(loader) for loader in loaders] == [1, 1, None]

    @pytest.mark.parametrize("name", ["UNASSIGNED,", ""])
    def test_nobody_assigned(self, name, tiny_voc, tmp_path, capsys):
        rows = "".join(f"{name}{line.partition(',')[2]}" for line in ROWS.splitlines(True)[:-1])
        loaders = DataLoader.from_csv(
            write_csv(tmp_path, "", rows), images_dir=str(tiny_voc / "images")
        )
        assert sum(len(loader) for loader in loaders if loader) == 5
        assert len(loaders[0]) >= 3
        assert "5 pictures without a set are split 80 : 10 : 10" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("at", "rows", "more", "message"),
        [
            (
                "gs://b/",
                ROWS,
                {},
                r"gs://b/p0.png: pictures are not read from the network; download",
            ),
            (
                "no/",
                ROWS,
                {},
                r"no/p0.png: no such picture, here or beside the CSV; give images_dir",
            ),
            ("", "VAL,{at}p0.png,a,0,0,,,1,1,,\n", {}, "known are"),
            (
                "",
                ROWS + "SPARE,p3.png,,,,,,,,,\n",
                {"images_dir": "here"},
                "a.csv:8: the set is 'spare'",
            ),
            ("", ROWS, {"delimiter": ":"}, "delimiter=':': comma"),
            ("", ROWS, {"quotechar": "'"}, 'quotechar="\'"'),
        ],
        ids=["gs", "nowhere", "columns", "set", "delimiter", "quotechar"],
    )
    def test_refused(self, at, rows, more, message, tiny_voc, tmp_path):
        if "images_dir" in more:
            more = {"images_dir": str(tiny_voc / "images")}
        with pytest.raises(InputError, match=message):
            DataLoader.from_csv(write_csv(tmp_path, at, rows), **more)

    def test_a_csv_in_the_cloud(self):
        with pytest.raises(
            InputError, match=r"^gs://b/s.csv: files are not read from the network;"
        ):
            DataLoader.from_csv("gs://b/s.csv")


def test_split(tiny_data):
    whole = DataLoader.from_cache(str(tiny_data))
    first, second = whole.split(0.75)
    assert (len(first), len(second)) == (3, 1)
    assert records(first) | records(second) == set(read_records(next(tiny_data.glob("train-*"))))
    assert not records(first) & records(second)
    assert first.label_map == whole.label_map
    assert first.label_map_file.is_file()
    with pytest.raises(InputError, match=r"split\(0.01\): 0 and 4 of 4 pictures"):
        whole.split(0.01)


def test_records_of_ones_own(tiny_data):
    pattern = str(tiny_data / "val-*.tfrecord")
    loader = DataLoader(pattern, 2, CLASSES)
    assert (loader.patterns, len(loader)) == ((pattern,), 2)
    assert loader.label_map_file == tiny_data / "label_map.pbtxt"
    assert DataLoader([pattern], 2, ["other"]).label_map_file.parent != tiny_data
    with pytest.raises(InputError, match="groundtruth is read from the records"):
        DataLoader(pattern, 2, CLASSES, "a.json")
