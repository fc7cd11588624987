from __future__ import annotations

import pytest

from export.targets import arena
from export.targets.arena import Lifetime


@pytest.mark.parametrize(
    ("tensors", "expected"),
    [
        pytest.param([], 0, id="none"),
        # Multiples of 16.
        pytest.param([Lifetime(1, 0, 0)], 16, id="aligned"),
        pytest.param([Lifetime(48, 0, 1), Lifetime(32, 1, 2)], 80, id="together"),
        pytest.param([Lifetime(48, 0, 1), Lifetime(32, 2, 3)], 48, id="one after the other"),
        # 96 lies at 0 all the time; 64 and then 32 behind it: 96 + 64.
        pytest.param([Lifetime(96, 0, 9), Lifetime(64, 0, 1), Lifetime(32, 2, 3)], 160, id="reuse"),
        # By size: 80 at 0..80 (ops 2-3), 64 at 0..64 (ops 0-1), 48 (ops 1-2) behind both at 80.
        pytest.param(
            [Lifetime(64, 0, 1), Lifetime(48, 1, 2), Lifetime(80, 2, 3)], 128, id="largest first"
        ),
        # 96 at 0 (ops 0-5), 64 at 96 (0-1), 48 at 96 too (2-5), 16 (2-3) behind that at 144.
        pytest.param(
            [Lifetime(96, 0, 5), Lifetime(64, 0, 1), Lifetime(48, 2, 5), Lifetime(16, 2, 3)],
            160,
            id="gap behind",
        ),
    ],
)
def test_planned_bytes(tensors, expected):
    assert arena.planned_bytes(tensors) == expected


def test_a_chain(ops_in_a_row):
    """Tensors of 192, 96, 384 bytes: the last op holds 96 + 384, which is the most."""
    graph = ops_in_a_row("CONV_2D", "ADD", shapes=[(1, 4, 6, 8), (1, 4, 6, 4), (1, 4, 6, 16)])
    assert arena.lifetimes(graph) == [
        Lifetime(192, 0, 0),
        Lifetime(96, 0, 1),
        Lifetime(384, 1, 1),
    ]
    found = arena.estimate(graph)
    assert found.tensor_bytes == 480
    # 3 tensors, 2 ops, 4 output channels of the convolution.
    assert found.structure_bytes == 3 * 12 + 2 * (44 + 72) + 4 * 8 + 1024
    assert found.num_bytes == 480 + found.structure_bytes


def test_outputs_stay_and_constants_take_nothing(made):
    from export.targets import file_graph

    graph = file_graph.read(made["raw", "int8"])
    lifetimes = arena.lifetimes(graph)
    last = len(graph.ops) - 1
    # Outputs: 48 anchors of 4 encodings and of 3 scores.
    assert {48 * 4, 48 * 3} <= {t.num_bytes for t in lifetimes if t.last == last}
    assert sum(t.num_bytes for t in lifetimes) < 200_000
    # The picture as uint8 and as int8, side by side.
    assert arena.planned_bytes(lifetimes) == 2 * 64 * 96 * 3
