from __future__ import annotations

from pathlib import Path

import pytest

from ssd.training.free_memory import free_host_bytes

MEMINFO = "MemTotal:       24684100 kB\nMemFree:  1000 kB\nMemAvailable:   3000 kB\nHugePages: 0\n"


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in ({"proc/meminfo": MEMINFO} | files).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


V2, V1 = "sys/fs/cgroup", "sys/fs/cgroup/memory"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 3000 * 1024),
        ({"proc/meminfo": "MemTotal: 9 kB\nMemFree: 1000 kB\n"}, 1000 * 1024),
        ({"proc/self/cgroup": "0::/\n"}, 3000 * 1024),
        (
            {
                "proc/self/cgroup": "0::/box/job\n",
                f"{V2}/box/job/memory.max": "max\n",
                f"{V2}/box/job/memory.current": "500\n",
                f"{V2}/box/memory.max": "900000\n",
                f"{V2}/box/memory.current": "700000\n",
                f"{V2}/box/memory.stat": "anon 400000\ninactive_file 100000\nactive_file 9\n",
            },
            900000 - (700000 - 100000),
        ),
        (
            {  # as seen in a container: the path is that of the host
                "proc/self/cgroup": "5:cpu:/d/x\n4:memory:/d/x\n0::/\n",
                f"{V1}/memory.limit_in_bytes": "800000\n",
                f"{V1}/memory.usage_in_bytes": "600000\n",
                f"{V1}/memory.stat": "cache 1\ninactive_file 7\ntotal_inactive_file 50000\n",
            },
            800000 - (600000 - 50000),
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/\n",
                f"{V1}/memory.limit_in_bytes": "9223372036854771712\n",
                f"{V1}/memory.usage_in_bytes": "1\n",
            },
            3000 * 1024,
        ),
        (
            {
                "proc/self/cgroup": "0::/\n",
                f"{V2}/memory.max": "400\n",
                f"{V2}/memory.current": "500\n",
            },
            0,
        ),
    ],
    ids=["machine", "old kernel", "no limit", "v2, a folder above", "v1", "v1, none", "all taken"],
)
def test_the_tighter_of_machine_and_container(tmp_path, files, expected):
    write(tmp_path, files)
    assert free_host_bytes(tmp_path) == expected


def test_a_system_that_does_not_say(tmp_path):
    assert free_host_bytes(tmp_path) is None
