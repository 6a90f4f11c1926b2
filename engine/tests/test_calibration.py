"""Gram matrices and SQNR against float64 twins, on ordinary inputs and on inputs with massive activations."""

import math

import pytest
import torch

from quant_engine import calibration
from quant_engine.calibration import statistics_of
from quant_engine.formats.scheme import WeightFormat
from quant_engine.layers import Layer, input_quantizer, measure_group, no_tick
from quant_engine.linalg.products import exact_products
from quant_engine.methods import METHODS
from quant_engine.methods.gptq import GptqArguments, gptq
from quant_engine.methods.rtn import RtnArguments, rtn
from quant_engine.outputs import output_energies
from quant_engine.sensitivity import energies, measurement, sqnr_db
from quant_engine.uses import parse_short

COLUMNS = 256
TOKENS = 3000


def inputs(massive: bool, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
    """Correlated channels of different strength; massive: four tokens and two channels a thousand times larger, as real
    models have."""
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(COLUMNS, COLUMNS, generator=generator) / COLUMNS**0.5 + torch.eye(COLUMNS)
    X = torch.randn(TOKENS, COLUMNS, generator=generator) @ mixing * torch.exp(torch.randn(COLUMNS, generator=generator))
    if massive:
        X[::750, :] *= 10
        X[::750, 3] = 3000
        X[::750, 77] = -1500
    return X.to(dtype)


@pytest.fixture
def setting():
    value = torch.backends.mkldnn.matmul  # pyright: ignore[reportAttributeAccessIssue]
    before = value.fp32_precision
    yield value
    value.fp32_precision = before


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("massive", [False, True])
def test_gram_is_exact_to_float32_sums(dtype: torch.dtype, massive: bool):
    X = inputs(massive, dtype)
    found = statistics_of([X[:1000].reshape(2, 500, COLUMNS), X[1000:]])
    expected = X.double().t() @ X.double()
    assert found.tokens == TOKENS and found.gram.dtype == torch.float64
    assert float((found.gram - expected).abs().max() / expected.abs().max()) < 2e-6
    # Relative to what an entry could be at most, so that small channels count too.
    largest = expected.diagonal().sqrt()
    assert float(((found.gram - expected).abs() / torch.outer(largest, largest)).max()) < 5e-6
    assert torch.equal(found.gram, found.gram.t())


def test_float32_inputs_are_not_rounded_to_bfloat16(setting):
    setting.fp32_precision = "bf16"
    X = inputs(False, torch.float32)
    found = statistics_of([X]).gram
    expected = X.double().t() @ X.double()
    assert float((found - expected).abs().max() / expected.abs().max()) < 2e-6
    assert setting.fp32_precision == "bf16"


def test_the_precision_setting_is_put_back_even_after_an_error(setting):
    setting.fp32_precision = "ieee"
    statistics_of([inputs(False)])
    assert setting.fp32_precision == "ieee"
    with pytest.raises(RuntimeError), exact_products(inputs(False)) as (left, multiply):
        assert setting.fp32_precision == "bf16"
        multiply(left, left)
    assert setting.fp32_precision == "ieee"


def test_wide_inputs_and_many_chunks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(calibration, "CHUNK_TOKENS", 700)
    monkeypatch.setattr(calibration, "_PANEL", 100)
    X = inputs(False)
    found = statistics_of([X[:10], X[10:2000], X[2000:]])
    expected = X.double().t() @ X.double()
    assert found.tokens == TOKENS
    assert float((found.gram - expected).abs().max() / expected.abs().max()) < 2e-6
    assert torch.equal(found.gram, found.gram.t())


def test_the_same_inputs_give_the_same_bits():
    X = inputs(True)
    assert torch.equal(statistics_of([X]).gram, statistics_of([X.clone()]).gram)


@pytest.mark.parametrize("massive", [False, True])
@pytest.mark.parametrize("method", ["rtn", "gptq"])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_sqnr_equals_the_float64_forward(massive: bool, method: str, bits: int):
    X = inputs(massive)
    weight = (torch.randn(160, COLUMNS, generator=torch.Generator().manual_seed(bits)) * 0.05).bfloat16()
    statistics = statistics_of([X])
    weight_format = WeightFormat(bits, group_size=64)
    if method == "rtn":
        quantized = rtn(weight, statistics, weight_format, RtnArguments())
    else:
        quantized = gptq(weight, statistics, weight_format, GptqArguments())
    sizes = [100, 60]
    signals = energies(weight, statistics.gram, sizes)
    noises = energies(quantized.dequantize().float() - weight.float(), statistics.gram, sizes)
    for rows, signal, noise in zip((slice(0, 100), slice(100, 160)), signals, noises, strict=True):
        y = X.double() @ weight[rows].double().t()
        error = y - X.double() @ quantized.dequantize()[rows].double().t()
        expected = 10 * math.log10(float(y.square().sum() / error.square().sum()))
        assert sqnr_db(signal, noise)[0] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("massive", [False, True])
@pytest.mark.parametrize("short", ["rtn-w8a8", "gptq-w8a8", "gptq-w4a8-g64", "fp8", "fp8_dynamic", "fp8_block", "rtn-nvfp4", "gptq-mxfp4"])
def test_sqnr_with_rounded_inputs_equals_the_float64_forward_over_all_rows(massive: bool, short: str):
    X = inputs(massive)
    weights = [(torch.randn(rows, COLUMNS, generator=torch.Generator().manual_seed(rows)) * 0.05).bfloat16() for rows in (100, 60)]
    layers = [Layer(f"layer{rows.shape[0]}", "x", linear(rows)) for rows in weights]
    statistics = statistics_of([part.unsqueeze(0) for part in X.split(500)])
    use = parse_short(short)
    quantizer = input_quantizer(use, statistics, torch.bfloat16)
    assert quantizer is not None
    rounded = torch.cat([quantizer(part.unsqueeze(0))[0] for part in X.split(500)]).double()
    for layer, found in zip(layers, measure_group(layers, statistics, [use], no_tick), strict=True):
        quantized = METHODS[use.method].quantize(layer.weight, statistics, use.weight_format, use.arguments)
        y = X.double() @ layer.weight.double().t()
        error = y - rounded @ quantized.dequantize().double().t()
        expected = 10 * math.log10(float(y.square().sum() / error.square().sum()))
        assert found.candidates[use.label].sqnr_db == pytest.approx(expected, abs=0.01)
        alone = X.double() @ (layer.weight.double() - quantized.dequantize().double()).t()
        weight_only = 10 * math.log10(float(y.square().sum() / alone.square().sum()))
        assert found.candidates[use.label].weight_only_db == pytest.approx(weight_only, abs=0.01)
        # Of a layer that is measured once, from the outputs of every token.
        signal, noise = (float(rows.sum()) for rows in output_energies(statistics, quantizer, layer.weight, quantized.dequantize()))
        assert signal == pytest.approx(float(y.square().sum()), rel=1e-5)
        assert sqnr_db(signal, noise)[0] == pytest.approx(expected, abs=0.001)


def linear(weight: torch.Tensor) -> torch.nn.Linear:
    module = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    module.weight = torch.nn.Parameter(weight, requires_grad=False)
    return module


def test_no_error_and_no_signal_are_states():
    X = inputs(False)
    statistics = statistics_of([X])
    weight = torch.zeros(4, COLUMNS, dtype=torch.bfloat16)
    quantized = rtn(weight, statistics, WeightFormat(4), RtnArguments())
    (signal,) = energies(weight, statistics.gram, [4])
    (noise,) = energies(quantized.dequantize().float(), statistics.gram, [4])
    silent = measurement(signal, noise, 4.125, quantized.report)
    assert (silent.state, silent.sqnr_db, silent.noise) == ("zero-signal", None, 0.0)
    perfect = measurement(5.0, 0.0, 4.125, quantized.report)
    assert (perfect.state, perfect.sqnr_db) == ("infinite", None)
    assert measurement(100.0, 1.0, 4.125, quantized.report).sqnr_db == pytest.approx(20)
