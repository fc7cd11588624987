"""How much memory is free for training: on the GPU, else in this machine or container."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf

_ROOT = Path("/")


def free_bytes() -> float | None:
    """Returns the bytes that training may still take; None where the system does not say.

    With a GPU: what TensorFlow may take of its memory and has not. Else see `free_host_bytes`.
    """
    if not tf.config.list_physical_devices("GPU"):
        return free_host_bytes()
    # No public function says the limit.
    from tensorflow.python.client import device_lib

    limits = [d.memory_limit for d in device_lib.list_local_devices() if d.device_type == "GPU"]
    return min(limits) - tf.config.experimental.get_memory_info("GPU:0")["current"]


def free_host_bytes(root: Path = _ROOT) -> float | None:
    """Returns the free bytes of the machine, or of the container if it may take less than that.

    Args:
      root: folder that holds proc/ and sys/.

    Returns:
      The kernel's MemAvailable, or the limit of a control group (v1 or v2) without what is in use;
      files that are cached only are not in use. None off Linux.
    """
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if ":" in line}
    free = [kilobytes.get("MemAvailable", kilobytes["MemFree"]) * 1024]
    for folder in _group_folders(root):
        for limit, usage in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            # "max" where there is no limit.
            if (text := _read(folder / limit)).isdigit():
                cached = _cached_bytes(_read(folder / "memory.stat"))
                used = int(_read(folder / usage) or 0) - cached
                free.append(max(int(text) - used, 0))
    return float(min(free))


def _group_folders(root: Path) -> list[Path]:
    """Folders of this process' control groups and of those above them."""
    found = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / ("memory" if controllers else "")
        group = base / path.lstrip("/")
        found += [group, *(above for above in group.parents if above.is_relative_to(base))]
    return found


def _cached_bytes(stat: str) -> int:
    values = dict(line.split() for line in stat.splitlines() if len(line.split()) == 2)
    return int(values.get("total_inactive_file", values.get("inactive_file", 0)))


def _read(path: Path) -> str:
    """Nothing of a file that is not there."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
