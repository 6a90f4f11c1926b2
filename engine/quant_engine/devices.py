"""Which device computes, and what it is. Imports torch only when asked."""

from __future__ import annotations

import os
from collections.abc import Sequence

from quant_engine.errors import QuantError
from quant_engine.protocol import Device


def list_devices() -> list[Device]:
    """The CPU, then every CUDA device that torch can use."""
    import psutil
    import torch

    memory = psutil.virtual_memory()
    devices = [
        Device(id="cpu", name=f"CPU, {os.cpu_count()} cores", total_bytes=memory.total, free_bytes=memory.available)
    ]
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        free, total = torch.cuda.mem_get_info(index)
        devices.append(
            Device(id=f"cuda:{index}", name=torch.cuda.get_device_name(index), total_bytes=total, free_bytes=free)
        )
    return devices


def resolve_devices(asked: str) -> list[Device]:
    """Of names with commas between them, each device once. `auto` is the first GPU, or the CPU without one; `cuda` the first GPU.

    Raises QuantError(code="device-missing") that lists what there is.
    """
    devices = list_devices()
    by_name = {device.id: device for device in devices}
    by_name |= {"auto": devices[min(1, len(devices) - 1)], **({"cuda": devices[1]} if len(devices) > 1 else {})}
    found: list[Device] = []
    for name in asked.split(","):
        device = by_name.get(name.strip())
        if device is None:
            known = ", ".join(device.id for device in devices)
            raise QuantError(f'there is no device "{name.strip()}"', code="device-missing", advice=f"Use one of: auto, {known}.")
        if device not in found:
            found.append(device)
    return found


def asked_devices(given: str, written: Sequence[str]) -> str:
    """What is asked for: on the command line, else in the recipe."""
    return given if given != "auto" or not written else ",".join(written)


def device_class(devices: Sequence[Device]) -> str:
    """What decides how sums are rounded: the kinds of GPUs, or the CPU's instructions and the number of its threads."""
    import torch

    if devices[0].id != "cpu" or len(devices) > 1:
        return ", ".join(device.name for device in devices)
    units = ", AMX" if torch.cpu._is_amx_tile_supported() else ""
    return f"cpu with {torch.backends.cpu.get_cpu_capability()}{units}, {torch.get_num_threads()} threads"
