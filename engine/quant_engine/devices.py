"""Which device computes, and what it is. Imports torch only when asked."""

from __future__ import annotations

import os

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


def resolve_device(asked: str) -> Device:
    """`auto` is the first GPU, or the CPU without one. Raises QuantError(code="device-missing") that lists what there is."""
    devices = list_devices()
    wanted = (
        (devices[1].id if len(devices) > 1 else "cpu") if asked == "auto" else "cuda:0" if asked == "cuda" else asked
    )
    for device in devices:
        if device.id == wanted:
            return device
    known = ", ".join(device.id for device in devices)
    raise QuantError(f'there is no device "{asked}"', code="device-missing", advice=f"Use one of: auto, {known}.")


def device_class(device: Device) -> str:
    """What decides how sums are rounded: the kind of GPU, or the CPU's instructions and the number of its threads."""
    import torch

    if device.id != "cpu":
        return device.name
    return f"cpu with {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads"
