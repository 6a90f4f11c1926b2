"""Messages of the resident engine (`quant-engine serve`): JSON-RPC 2.0 with Content-Length framing over stdio."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

PROTOCOL_VERSION = 1


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=True)


class Device(Model):
    id: str = Field(description="`cpu`, `cuda:0` …")
    name: str
    total_bytes: int
    free_bytes: int


class HelloParams(Model):
    protocol: int = Field(description="Protocol version of the caller.")
    client: str


class Hello(Model):
    """Answer to `hello`: the engine is started."""

    protocol: int
    engine: str = Field(description="Engine version.")
    python: str
    executable: str
    pid: int
    host: str


class Devices(Model):
    """Answer to `devices` (imports torch)."""

    torch: str
    devices: list[Device]
    process_bytes: int = Field(description="Resident memory of the engine process.")


class InspectParams(Model):
    checkpoint: str


class ModuleInfo(Model):
    name: str
    kind: str = Field(description="Last part of the name.")
    block: int | None
    shape: list[int]
    dtype: str
    parameters: int
    bytes: int = Field(description="Of what stands for the weight: values or codes, scales, zero points, group indices; not of a bias.")
    quantizable: bool


class Quantization(Model):
    method: str = Field(description="For example compressed-tensors, gptq, awq, fp8.")
    format: str | None
    bits: list[int]
    group_sizes: list[int] = Field(description="Consecutive inputs that share a scale; -1: all inputs of an output.")
    symmetric: bool | None = Field(description="null: not known, or both occur.")


class Checkpoint(Model):
    """Answer to `inspect`."""

    path: str
    architecture: str
    model_type: str
    supported: bool
    dtype: str
    parameters: int
    bytes: int
    blocks: int
    quantization: Quantization | None
    modules: list[ModuleInfo]


class Conversion(Model):
    """What `quant-engine convert` did."""

    source: str
    source_layout: str = Field(description="As `--to` names it.")
    output: str
    layout: str
    quantization: Quantization = Field(description="Of the output.")
    layers: int = Field(description="Layers converted; every other tensor is the source's, bit for bit.")
    scales: int
    scales_rounded: int = Field(description="Scales that float16 does not hold exactly.")
    largest_scale_change: float = Field(description="Relative; 0 when no scale was rounded.")
    source_bytes: int
    output_bytes: int
    warnings: list[str]


class Unloaded(Model):
    """Answer to `unload`."""

    freed_bytes: int


class DoctorCheck(Model):
    name: str
    status: Literal["fulfilled", "warning", "fatal"]
    found: str
    advice: str = Field(default="", description="What to do; empty when fulfilled.")


class DoctorReport(Model):
    checks: list[DoctorCheck]


class Diagnostic(Model):
    """One finding of `quant-engine check`, positions 1-based, end exclusive."""

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    severity: Literal["error", "warning", "information", "hint"]
    message: str
    code: str
    advice: str = Field(description="What to do.")


class CheckReport(Model):
    diagnostics: list[Diagnostic]


class SizeBound(Model):
    tensor_bytes: int = Field(description="Of all tensors of the written checkpoint.")
    bits_per_weight: float = Field(description="Of the quantized layers, scales included.")


class OutputForecast(SizeBound):
    """The checkpoint that will be written."""

    exact: bool = Field(description="false: a budget decides after the measurement, and this is a likely choice.")
    file_bytes: int = Field(description="Of the whole folder, headers and documents included.")
    model_bits_per_weight: float
    least: SizeBound | None = Field(description="What a budget's candidates can reach; null without a budget.")
    most: SizeBound | None
    allowed_bits_per_weight: float | None = Field(description="By the budget.")
    allowed_bytes: int | None = Field(description="Tensor bytes, by the budget.")


class PhaseForecast(Model):
    phase: str
    seconds: float
    host_bytes: int = Field(description="Resident memory at the phase's peak, libraries included.")
    device_bytes: int | None = Field(description="Allocated on the GPU at the phase's peak; null on the CPU.")


class DiskForecast(Model):
    path: str
    what: str
    needed_bytes: int
    free_bytes: int


class Preflight(Model):
    """What a run would take, by `quant-engine preflight`. Only `findings` of a recipe that was refused."""

    recipe: str
    model: str = ""
    architecture: str = ""
    device: Device | None = None
    original_bytes: int = Field(default=0, description="Of all tensors of the original checkpoint.")
    calibration_tokens: int = 0
    held_out_tokens: int = 0
    output: OutputForecast | None = None
    phases: list[PhaseForecast] = []
    seconds: float = Field(default=0.0, description="All phases together.")
    host_bytes: int = Field(default=0, description="The highest of the phases.")
    device_bytes: int | None = None
    disks: list[DiskForecast] = []
    probe_seconds: float = Field(default=0.0, description="What finding this out took.")
    others_share: float = Field(default=0.0, description="Of the processor, that other processes had meanwhile, 0 to 1.")
    findings: list[Diagnostic] = []


class Protocol(Model):
    """All messages, so that one schema file describes them."""

    hello_params: HelloParams
    hello: Hello
    devices: Devices
    inspect_params: InspectParams
    checkpoint: Checkpoint
    conversion: Conversion
    unloaded: Unloaded
    doctor: DoctorReport
    check: CheckReport
    preflight: Preflight
