"""Text format -> message, with lines, and with errors that say where and what."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import text_format

from ssd.config.messages import TrainEvalPipelineConfig
from ssd.config.text_reader import parse
from ssd.config.text_source import Source
from ssd.errors import InputError


def read(text: str) -> tuple[Any, dict[str, int]]:
    config = TrainEvalPipelineConfig()
    positions = parse(text, config, Source("p.config"))
    return config, positions


FORMS = {
    "comma after a value": "train_config { batch_size: 8, num_steps: 9 }",
    "semicolon": "train_config { batch_size: 8; num_steps: 9; }",
    "colon before a brace": "train_config: { batch_size: 8 num_steps: 9 }",
    "angle brackets": "train_config < batch_size: 8 num_steps: 9 >",
    "one line": "train_config{batch_size:8 num_steps:9}",
    "comments": '# top\ntrain_config { # here { "\n batch_size: 8 # } \n num_steps: 9 }',
    "hexadecimal and octal": "train_config { batch_size: 0x8 num_steps: 011 }",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_every_form_people_write_means_the_same(text: str) -> None:
    config, _ = read(text)
    assert (config.train_config.batch_size, config.train_config.num_steps) == (8, 9)


@pytest.mark.parametrize(
    ("written", "value"),
    [(".08", 0.08), ("1e-8", 1e-8), ("1E-8", 1e-8), ("-4.6", -4.6), ("2", 2.0), ("1.5f", 1.5)],
)
def test_numbers(written: str, value: float) -> None:
    config, _ = read(f"train_config {{ gradient_clipping_by_norm: {written} }}")
    assert config.train_config.gradient_clipping_by_norm == pytest.approx(value, rel=1e-7)


@pytest.mark.parametrize(("written", "value"), [("true", True), ("False", False), ("1", True)])
def test_truth(written: str, value: bool) -> None:
    config, _ = read(f"eval_input_reader {{ shuffle: {written} }}")
    assert config.eval_input_reader[0].shuffle is value


def test_text_in_single_quotes_and_in_pieces() -> None:
    config, _ = read("""eval_config { metrics_set: 'a' metrics_set: "b" 'c' }""")
    assert list(config.eval_config.metrics_set) == ["a", "bc"]


def test_escaped_backslashes_stay_a_windows_path() -> None:
    config, _ = read(r'train_config { fine_tune_checkpoint: "C:\\train\\new" }')
    assert config.train_config.fine_tune_checkpoint == r"C:\train\new"


def test_lists_in_brackets_and_one_by_one_add_up() -> None:
    text = (
        "train_input_reader { tf_record_input_reader { input_path: ['a', 'b'] input_path: 'c' } }"
    )
    config, _ = read(text)
    assert list(config.train_input_reader.tf_record_input_reader.input_path) == ["a", "b", "c"]


def test_lists_of_sections_in_brackets() -> None:
    config, positions = read("eval_input_reader: [{ shuffle: false },\n { shuffle: true }]")
    assert [reader.shuffle for reader in config.eval_input_reader] == [False, True]
    assert positions["eval_input_reader[1].shuffle"] == 2


def test_an_empty_list_sets_nothing() -> None:
    config, _ = read("eval_config { metrics_set: [] }")
    assert len(config.eval_config.metrics_set) == 0


def test_every_field_has_its_line() -> None:
    _, positions = read(
        "model {\n"  # 1
        "  ssd { num_classes: 3\n"  # 2
        "    anchor_generator { multiscale_anchor_generator {\n"  # 3
        "      aspect_ratios: [1.0,\n"  # 4
        "                      0.5]\n"  # 5
        "    } }\n"
        "  }\n"
        "}\n"
        "train_config {\n"  # 9
        "  data_augmentation_options { random_horizontal_flip {} }\n"  # 10
        "  data_augmentation_options {\n"  # 11
        "    random_crop_image {\n"  # 12
        "      min_area:\n"  # 13
        "        0.75\n"
        "    }\n"
        "  }\n"
        "}\n"
    )
    anchors = "model.ssd.anchor_generator.multiscale_anchor_generator"
    options = "train_config.data_augmentation_options"
    expected = {
        "model": 1,
        "model.ssd": 2,
        "model.ssd.num_classes": 2,
        anchors: 3,
        f"{anchors}.aspect_ratios": 4,
        f"{anchors}.aspect_ratios[0]": 4,
        f"{anchors}.aspect_ratios[1]": 5,
        options: 10,
        f"{options}[0]": 10,
        f"{options}[1]": 11,
        f"{options}[1].random_crop_image.min_area": 13,
    }
    assert {path: positions.get(path) for path in expected} == expected


def test_a_section_is_where_its_name_is() -> None:
    _, positions = read("train_config\n{\n data_augmentation_options\n {\n } }")
    assert positions["train_config"] == 1
    assert positions["train_config.data_augmentation_options[0]"] == 3


def test_the_values_are_those_of_text_format() -> None:
    text = "model { ssd { post_processing { score_converter: SIGMOID logit_scale: 0.3 } } }"
    assert read(text)[0] == text_format.Parse(text, TrainEvalPipelineConfig())


BAD = {
    "unknown field": (
        "model {\n  ssd {\n    num_clases: 3\n  }\n}",
        r"p\.config:3: model\.ssd\.num_clases: unknown field\. Did you mean num_classes\?",
    ),
    "unknown field in a list": (
        "train_config {\n data_augmentation_options {\n random_flip {} } }",
        r":3: train_config\.data_augmentation_options\[0\]\.random_flip: unknown field",
    ),
    "field of another section": (
        "model { ssd {\n batch_size: 8 } }",
        r":2: model\.ssd\.batch_size: unknown field here\. It belongs in eval_config or train_con",
    ),
    "nothing like it": (
        "eval_config { xyzzy: 1 }",
        r":1: eval_config\.xyzzy: unknown field\. Known here: batch_size, .* and 25 more\.",
    ),
    "section without settings": (
        "model { ssd { similarity_calculator { iou_similarity { threshold: 1 } } } }",
        r"iou_similarity\.threshold: unknown field; this section takes no settings",
    ),
    "section not closed before the next": (
        "model {\n ssd {\n num_classes: 3\n }\ntrain_config {\n}\n",
        r":5: model\.train_config: unknown field\. .* stands at the top level: is a } missing",
    ),
    "brace not closed": (
        "train_config {\n optimizer {\n",
        r":2: train_config\.optimizer: the { opened here is never closed; add a } .* in line 3\.",
    ),
    "brace too many": (
        "train_config {\n }\n}\n",
        r"p\.config:3: a } too many; nothing is open here",
    ),
    "other brace closes": (
        "train_config {\n >",
        r":2: train_config: got >; the { of line 1 needs a }",
    ),
    "text for a number": (
        'train_config { batch_size: "8" }',
        r":1: train_config\.batch_size: got the text \"8\"; expected a whole number",
    ),
    "fraction for a whole number": (
        "train_config { batch_size: 8.5 }",
        r"batch_size: got 8\.5; expected a whole number of at least 0\.",
    ),
    "negative count": (
        "train_config { num_steps: -1 }",
        r"num_steps: got -1; expected .* at least 0",
    ),
    "number too large": (
        "model { ssd { num_classes: 3000000000 } }",
        r"num_classes: got 3000000000; expected a whole number from -2147483648 to 2147483647",
    ),
    "broken octal": ("train_config { num_steps: 09 }", r"num_steps: got 09; expected a whole"),
    "word for a number": (
        "train_config {\n\n gradient_clipping_by_norm: ten }",
        r":3: train_config\.gradient_clipping_by_norm: got ten; expected a number",
    ),
    "two dots": ("eval_config { recall_lower_bound: 1.2.3 }", r"got 1\.2\.3; expected a number"),
    "not a number": ("eval_config { recall_lower_bound: -nan }", r"got -nan; expected a number"),
    "leading zero": (
        "eval_config { recall_lower_bound: 00.5 }",
        r"got 00\.5; a number does not st",
    ),
    "underscore": ("eval_config { recall_lower_bound: 1_0 }", r"got 1_0; expected a number"),
    "beyond 32 bits": ("eval_config { recall_lower_bound: 1e39 }", r"got 1e39, which a 32-bit"),
    "number for a truth": (
        "eval_input_reader { shuffle: 2 }",
        r"eval_input_reader\[0\]\.shuffle: got 2; expected true or false",
    ),
    "text without quotes": (
        "train_config { fine_tune_checkpoint_type: detection }",
        r'got detection; expected text in quotes\. Write "detection"\.',
    ),
    "enum misspelt": (
        "model { ssd { feature_extractor { conv_hyperparams { activation: RELU6 } } } }",
        r"activation: got RELU6; expected one of NONE, RELU, RELU_6, SWISH\. Did you mean RELU_6\?",
    ),
    "enum in quotes": (
        'train_config { fine_tune_checkpoint_version: "V2" }',
        r"got the text \"V2\"; .* Write V2 without quotes",
    ),
    "enum number": ("train_config { fine_tune_checkpoint_version: 7 }", r"got 7; expected one of"),
    "section for a value": (
        "train_config { batch_size { } }",
        r"batch_size: got { after batch_size; expected a colon and a whole number",
    ),
    "value for a section": (
        "train_config: 3",
        r":1: train_config: got 3; expected a section in braces, train_config { \.\.\. }\.",
    ),
    "no value": (
        "train_config {\n batch_size:\n data_augmentation_options {} }",
        r":2: train_config\.batch_size: no value after the colon; expected a whole number",
    ),
    "one value on the line, the next one missing": (
        "eval_config {\n metrics_set:\n }",
        r":2: eval_config\.metrics_set\[0\]: no value after the colon; expected text in quotes",
    ),
    "no colon": ("train_config { batch_size 8 }", r"got 8 after batch_size; expected a colon"),
    "set twice": (
        "train_config {\n batch_size: 8\n num_steps: 9\n batch_size: 8 }",
        r":4: train_config\.batch_size: set a second time; line 2 sets it already\. Keep one\.",
    ),
    "section twice": ("model {}\nmodel {}", r":2: model: set a second time; line 1 sets it"),
    "two alternatives": (
        "train_config { optimizer {\n adam_optimizer {}\n momentum_optimizer {} } }",
        r":3: train_config\.optimizer\.momentum_optimizer: line 2 sets adam_optimizer already",
    ),
    "list not closed": (
        "eval_config { metrics_set: ['a',\n }",
        r":1: eval_config\.metrics_set: got }; the \[ opened here needs a value, then a \]",
    ),
    "list without commas": (
        "eval_config { metrics_set: ['a' 1] }",
        r"metrics_set: got 1 inside a list; expected a comma or a \]",
    ),
    "wrong value in a list": (
        "model { ssd { anchor_generator { multiscale_anchor_generator {\n"
        " aspect_ratios: [1.0,\n two] } } } }",
        r":3: .*multiscale_anchor_generator\.aspect_ratios\[1\]: got two; expected a number",
    ),
    "list for one value": (
        "train_config { batch_size: [8] }",
        r"batch_size: got \[; expected a wh",
    ),
    "quote not closed": (
        'eval_config {\n metrics_set: "coco\n}',
        r"p\.config:2: the text \"coco has no closing quote on this line",
    ),
    "typographic quotes": (
        "eval_config { metrics_set: “coco” }",
        r"p\.config:1: typographic quotes in “coco” }; use the straight ones",
    ),
    "Windows path": (
        'train_config { fine_tune_checkpoint: "C:\\train\\new" }',
        r"p\.config:1: \\t in \"C:\\train\\new\" is a tab; write / or \\\\ for a backslash",
    ),
    "Windows path, unknown escape": (
        'train_config { fine_tune_checkpoint: "C:\\My\\x" }',
        r"\\M in .* is no known escape",
    ),
    "C++ comment": ("// old\ntrain_config {}", r"p\.config:1: got /; expected the name of a setti"),
    "Python": ("train_config { batch_size = 8 }", r":1: unexpected = in front of = 8 }; comments"),
    "extension": (
        "model {}\n[lstm.protos.model] {}",
        r"p\.config:2: \[\.\.\.\] names an extension; extensions are not part of this format",
    ),
    "control character": ("train_config \x01 {}", r"unexpected character U\+0001; is this a text"),
    "merge conflict": ("<<<<<<< HEAD\nmodel {}", r"p\.config:1: got <; expected the name of a set"),
    "value at the end of the file": (
        "train_config {\n batch_size:",
        r":2: .* got the end of the te",
    ),
    "value and lines missing": (
        "train_config {\n batch_size:\n\n",
        r":2: .*no value after the col",
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_mistakes_are_told_by_place_and_meaning(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        read(text)
    assert "\n" not in str(raised.value)
