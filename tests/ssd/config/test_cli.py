"""`config check` and `config show`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ssd.config import cli, pipeline
from ssd.config.messages import TrainEvalPipelineConfig
from ssd.errors import InputError

ROOT = Path(__file__).resolve().parents[3]
ZOO = ROOT / "pipeline_configs/ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8.config"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """An obeyed config, one with a refused line and one that cannot be read."""
    text = ZOO.read_text(encoding="utf-8")
    contents = {
        "good.config": text,
        "refused.config": text.replace("num_classes: 90", "num_classes: 0"),
        "broken.config": "model {\n  sdd {\n  }\n}\n",
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    return [tmp_path / name for name in contents]


def test_check_prints_a_line_per_file_and_setting(
    files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.check(files) is False
    good, other, broken = files
    line = other.read_text().splitlines().index("    num_classes: 0") + 1
    assert capsys.readouterr().out.splitlines() == [
        f"{good}: obeyed",
        f"{other}:{line}: model.ssd.num_classes: 0 is not supported; supported: 1 or more.",
        f"{broken}:2: model.sdd: unknown field. Did you mean ssd?",
        "3 files: 1 obeyed, 1 refused, 1 not readable",
    ]


def test_check_says_another_network_first_and_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = "train_input_reader {\n  load_instance_masks: true\n  num_keypoints: 17\n}\n"
    type_only = 'model {\n  ssd {\n    feature_extractor {\n      type: "ssd_resnet50_v1_fpn"\n'
    contents = {"model": "model {\n  faster_rcnn {\n", "backbone": type_only}
    files = [tmp_path / f"{name}.config" for name in contents]
    for file, text in zip(files, contents.values(), strict=True):
        file.write_text(reader + text + text.count("{") * "}")
    assert cli.check(files) is False
    model, backbone, counts = capsys.readouterr().out.splitlines()
    # The missing train_config and the reader's two settings.
    assert model == (
        f"{files[0]}:6: model.faster_rcnn: not supported; supported: ssd. And 3 more, see --json."
    )
    where = f"{files[1]}:8: model.ssd.feature_extractor.type: "
    assert backbone.startswith(f"{where}ssd_resnet50_v1_fpn is not supported; supported: ssd_mob")
    assert counts == "2 files: 0 obeyed, 2 refused, 0 not readable"
    cli.check(files, as_json=True)
    listed = [file["refused"] for file in json.loads(capsys.readouterr().out)["files"]]
    assert [refusal["line"] for refusal in listed[0]] == [2, 3, 6, None]
    assert backbone.endswith(f" And {len(listed[1]) - 1} more, see --json.")


def test_check_says_yes_when_all_are_obeyed(
    files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.check(files[:1]) is True
    assert capsys.readouterr().out.endswith("1 file: 1 obeyed, 0 refused, 0 not readable\n")


def test_check_prints_one_json_object(
    files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    missing = files[0].with_name("missing.config")
    assert cli.check([*files, missing], as_json=True) is False
    printed = json.loads(capsys.readouterr().out)
    assert list(printed) == ["files"]
    good, other, broken, gone = printed["files"]
    assert good == {"file": str(files[0]), "obeyed": True, "refused": []}
    assert other["obeyed"] is False
    assert [set(refusal) for refusal in other["refused"]] == [{"line", "path", "why"}]
    assert other["refused"][0]["path"] == "model.ssd.num_classes"
    assert broken["refused"] == [
        {"line": 2, "path": "model.sdd", "why": "unknown field. Did you mean ssd?"}
    ]
    assert gone["refused"][0]["line"] is None
    assert "no such file" in gone["refused"][0]["why"]


def test_show_prints_a_config_with_overrides_and_defaults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.show(ZOO, ["train_config.batch_size=8"])
    file = tmp_path / "shown.config"
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    shown = pipeline.load(file)
    assert shown.refusals() == []
    assert shown.message.train_config.batch_size == 8
    assert shown.message.train_input_reader.HasField("shuffle_buffer_size")


def test_show_refuses_a_wrong_override() -> None:
    with pytest.raises(InputError, match=r"--set train_config\.batch_sise=8: unknown field"):
        cli.show(ZOO, ["train_config.batch_sise=8"])


def test_the_reference_page_is_up_to_date(tmp_path: Path) -> None:
    cli.write_reference(tmp_path / "configs.md")
    written = (tmp_path / "configs.md").read_text(encoding="utf-8")
    assert written == (ROOT / "docs/configs.md").read_text(encoding="utf-8"), (
        "the tables have changed; write docs/configs.md anew with ssd.config.cli.write_reference"
    )


def test_the_reference_page_names_all_sections(tmp_path: Path) -> None:
    cli.write_reference(tmp_path / "configs.md")
    page = (tmp_path / "configs.md").read_text(encoding="utf-8")
    for field in TrainEvalPipelineConfig.DESCRIPTOR.fields:
        assert f"`{field.name}`" in page
