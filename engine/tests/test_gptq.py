"""GPTQ against its paper: worked example, invariants, and a float64 twin written from the pseudo code."""

import itertools

import pytest
import torch

from quant_engine.formats.grid import Grid, encode, find_grid
from quant_engine.formats.scheme import WeightFormat
from quant_engine.linalg.columns import quantize_columns
from quant_engine.linalg.factor import Factor, factor
from quant_engine.methods.gptq import GptqArguments, gptq
from quant_engine.methods.rtn import RtnArguments, rtn
from quant_engine.methods.types import Statistics

X = torch.tensor([[1.0, 2, 0], [0, 1, 1], [2, 1, 1], [1, 1, 2]], dtype=torch.float64)
STEP = torch.tensor([[0.1]], dtype=torch.float64)
EIGHT = WeightFormat(8, group_size=None)
CHANNEL = WeightFormat(4, group_size=None)


def fixed_grid(row: list[float], order: list[int] | None = None) -> tuple[list[float], float]:
    """The worked example's loop: a fixed step of 0.1 instead of a min-max grid."""
    statistics = Statistics(X.t() @ X, 4)
    found = factor(statistics, 0.01, ordered=False)
    assert found is not None
    if order is not None:
        ordered = torch.tensor(order)
        permuted = factor(Statistics(statistics.gram[ordered][:, ordered], 4), 0.01, ordered=False)
        assert permuted is not None
        found = Factor(permuted.upper, ordered, 0.01, (0.01,), found.dead, found.mean_diagonal)
    codes, losses = quantize_columns(torch.tensor([row], dtype=torch.float64), found, Grid(EIGHT, STEP), 128)
    return (codes[0].double() * 0.1).tolist(), float(losses) * 2 * found.mean_diagonal


def test_factor_of_the_worked_example():
    found = factor(Statistics(X.t() @ X, 4), 0.01, ordered=False)
    assert found is not None
    upper = found.upper.double() / (2 * found.mean_diagonal) ** 0.5
    expected = [[0.480630, -0.256493, -0.147864], [0, 0.336165, -0.221769], [0, 0, 0.287164]]
    torch.testing.assert_close(upper, torch.tensor(expected, dtype=torch.float64), atol=2e-6, rtol=0)


def test_worked_example():
    result, loss = fixed_grid([-0.37, -0.07, -0.57])
    assert result == pytest.approx([-0.4, -0.1, -0.5])
    assert loss == pytest.approx(0.0169243, abs=1e-7)
    error = X @ (torch.tensor(result, dtype=torch.float64) - torch.tensor([-0.37, -0.07, -0.57], dtype=torch.float64))
    assert float(error.square().sum()) == pytest.approx(0.0165)


def test_worked_example_in_activation_order_is_the_best_of_all():
    row = [-0.37, -0.07, -0.57]
    result, _ = fixed_grid(row, order=[1, 0, 2])
    assert result == pytest.approx([-0.3, -0.1, -0.6])
    w = torch.tensor(row, dtype=torch.float64)
    every = torch.tensor(list(itertools.product(range(-8, 3), repeat=3)), dtype=torch.float64) * 0.1
    best = every[((every - w) @ X.t()).square().sum(1).argmin()]
    assert result == pytest.approx(best.tolist())


def problem(
    columns: int = 192, rows: int = 96, tokens: int = 1024, seed: int = 0, dtype: torch.dtype = torch.bfloat16
) -> tuple[torch.Tensor, Statistics]:
    """Weights and the Gram matrix of correlated inputs with channels of very different strength."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(columns, columns, generator=generator, dtype=torch.float64) / columns**0.5
    strength = torch.exp(torch.randn(columns, generator=generator, dtype=torch.float64))
    inputs = torch.randn(tokens, columns, generator=generator, dtype=torch.float64) @ (mixing + torch.eye(columns)) * strength
    weight = (torch.randn(rows, columns, generator=generator) * 0.05).to(dtype)
    return weight, Statistics(inputs.t() @ inputs, tokens)


def twin(weight: torch.Tensor, gram: torch.Tensor, weight_format: WeightFormat, damping: float, ordered: bool) -> torch.Tensor:
    """The paper's algorithm 1 with static groups, in float64, one column and one row of updates at a time."""
    W = weight.double()
    rows, columns = W.shape
    bits, size = weight_format.num_bits, weight_format.group_size or columns
    groups = W.reshape(rows, columns // size, size)
    if weight_format.symmetric:
        scales = (groups.abs().amax(-1).float() / ((2**bits - 1) / 2)).to(weight.dtype).double()
        zeros = torch.zeros_like(scales)
    else:
        low, high = groups.amin(-1).clamp(max=0).float(), groups.amax(-1).clamp(min=0).float()
        scales = ((high - low) / (2**bits - 1)).to(weight.dtype).double()
        zeros = (-(2 ** (bits - 1)) - low.double() / scales).round()
    H = 2 * gram.double()
    order = torch.argsort(H.diagonal(), descending=True, stable=True) if ordered else torch.arange(columns)
    W, H = W[:, order], H[order][:, order]
    H = H + damping * H.diagonal().mean() * torch.eye(columns, dtype=torch.float64)
    U = torch.linalg.cholesky(torch.linalg.inv(H), upper=True)
    codes = torch.empty(rows, columns, dtype=torch.float64)
    for j in range(columns):
        s, z = scales[:, int(order[j]) // size], zeros[:, int(order[j]) // size]
        codes[:, order[j]] = (W[:, j] / s + z).round().clamp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        error = (W[:, j] - (codes[:, order[j]] - z) * s) / U[j, j]
        W[:, j:] -= error[:, None] * U[j, j:][None, :]
    return codes


@pytest.mark.parametrize("actorder", ["weight", "none"])
@pytest.mark.parametrize(
    "weight_format",
    [WeightFormat(4, group_size=32), WeightFormat(3, group_size=64), WeightFormat(2, group_size=None), WeightFormat(8),
     WeightFormat(4, symmetric=False, group_size=64)],
    ids=str,
)  # fmt: skip
def test_codes_equal_the_float64_twin(weight_format: WeightFormat, actorder: str):
    weight, statistics = problem(columns=256, rows=192)
    quantized = gptq(weight, statistics, weight_format, GptqArguments(actorder=actorder))  # type: ignore[arg-type]
    expected = twin(weight, statistics.gram, weight_format, 0.01, actorder == "weight")
    assert float((quantized.codes == expected).double().mean()) >= 0.999


@pytest.mark.parametrize("actorder", ["weight", "none"])
def test_a_diagonal_gram_matrix_gives_rtn(actorder: str):
    weight, _ = problem()
    statistics = Statistics(torch.diag(torch.rand(192, dtype=torch.float64) + 0.1), 100)
    weight_format = WeightFormat(4, group_size=32)
    quantized = gptq(weight, statistics, weight_format, GptqArguments(actorder=actorder))  # type: ignore[arg-type]
    assert torch.equal(quantized.codes, rtn(weight, None, weight_format, RtnArguments()).codes)


def test_scaling_the_gram_matrix_changes_nothing_but_the_loss():
    weight, statistics = problem()
    first = gptq(weight, statistics, CHANNEL, GptqArguments())
    second = gptq(weight, Statistics(statistics.gram * 1024, 1), CHANNEL, GptqArguments())
    assert torch.equal(first.codes, second.codes)
    assert first.report.loss and second.report.loss == pytest.approx(1024 * first.report.loss, rel=1e-6)


def test_weights_on_the_grid_are_kept_without_loss():
    weight, statistics = problem(dtype=torch.float32)
    codes = (weight * 60).round().clamp(-7, 7)
    codes[:, 0] = 7.5  # the extremum fixes s = 0.125; it rounds to 8, is clamped to 7, and is put on the grid below
    on_grid = codes * 0.125
    grid = find_grid(on_grid, CHANNEL, torch.float32)
    assert bool((grid.scales == 0.125).all())
    on_grid[:, 0] = 7 * 0.125
    found = factor(statistics, 0.01, ordered=True)
    assert found is not None
    result, losses = quantize_columns(on_grid, found, grid, 128)
    assert torch.equal(result.float() * 0.125, on_grid)
    assert float(losses.sum()) == 0


def test_a_dead_column_becomes_zero_and_disturbs_nothing():
    weight, statistics = problem()
    dead = 17
    statistics.gram[dead] = 0
    statistics.gram[:, dead] = 0
    quantized = gptq(weight, statistics, CHANNEL, GptqArguments())
    assert quantized.report.fallback is None
    assert bool((quantized.codes[:, dead] == 0).all())
    without = torch.arange(192) != dead
    rest = gptq(weight[:, without], Statistics(statistics.gram[without][:, without], 1024), CHANNEL, GptqArguments())
    same = (quantized.codes[:, without] == rest.codes).double().mean()
    # The mean of the diagonal, hence the damping, differs by one column in 192.
    assert float(same) > 0.97


def test_block_size_changes_nothing_but_float_noise():
    weight, statistics = problem()
    results = [gptq(weight, statistics, CHANNEL, GptqArguments(block_size=size)).codes for size in (1, 7, 64, 192)]
    for other in results[1:]:
        assert float((results[0] == other).double().mean()) >= 0.999


def test_the_factor_inverts_the_damped_gram_matrix():
    _, statistics = problem(columns=600)
    found = factor(statistics, 0.01, ordered=True)
    assert found is not None and found.order is not None
    U = found.upper.double()
    assert torch.equal(U, U.triu())
    H = statistics.gram[found.order][:, found.order] / statistics.gram.diagonal().mean()
    H.diagonal().add_(0.01)
    identity = U.t() @ U @ H
    torch.testing.assert_close(identity, torch.eye(600, dtype=torch.float64), atol=2e-3, rtol=0)


def test_permuting_inputs_permutes_the_result_in_activation_order():
    weight, statistics = problem()
    shuffle = torch.randperm(192, generator=torch.Generator().manual_seed(5))
    straight = gptq(weight, statistics, CHANNEL, GptqArguments(actorder="weight"))
    shuffled = gptq(weight[:, shuffle], Statistics(statistics.gram[shuffle][:, shuffle], 1), CHANNEL, GptqArguments())
    assert float((straight.codes[:, shuffle] == shuffled.codes).double().mean()) >= 0.999


def test_the_last_column_receives_and_passes_on_nothing_more():
    weight, statistics = problem(columns=1)
    quantized = gptq(weight, statistics, CHANNEL, GptqArguments())
    assert torch.equal(quantized.codes, rtn(weight, None, CHANNEL, RtnArguments()).codes)


def test_the_loss_is_the_damped_quadratic_form():
    weight, statistics = problem()
    quantized = gptq(weight, statistics, CHANNEL, GptqArguments())
    difference = quantized.codes.double() * quantized.grid.scales.double() - weight.double()
    H = 2 * statistics.gram
    H = H + 0.01 * H.diagonal().mean() * torch.eye(192)
    by_row = ((difference @ H) * difference).sum(1) / 2
    assert quantized.report.row_losses is not None
    torch.testing.assert_close(quantized.report.row_losses, by_row, rtol=1e-4, atol=0)
    assert quantized.rows(3, 5).report.loss == pytest.approx(float(by_row[3:5].sum()), rel=1e-4)


def test_less_output_error_than_rtn():
    generator = torch.Generator().manual_seed(1)
    rows = (torch.rand(3000, 3, generator=generator, dtype=torch.float64) - 0.5) * 2
    found = factor(Statistics(X.t() @ X, 4), 0.01, ordered=False)
    assert found is not None
    codes, _ = quantize_columns(rows, found, Grid(EIGHT, STEP.expand(3000, 1)), 128)
    plain = encode(rows, Grid(EIGHT, STEP.expand(3000, 1)))
    errors = [((c.double() * 0.1 - rows) @ X.t()).square().sum() for c in (codes, plain)]
    assert float(errors[0] / errors[1]) == pytest.approx(0.66, abs=0.02)


def test_stacked_rows_are_quantized_as_if_alone():
    weight, statistics = problem()
    whole = gptq(weight, statistics, CHANNEL, GptqArguments())
    alone = gptq(weight[40:60], statistics, CHANNEL, GptqArguments())
    assert float((whole.rows(40, 60).codes == alone.codes).double().mean()) >= 0.999


def test_one_factorisation_serves_all_candidates_of_a_gram_matrix():
    weight, statistics = problem()
    gptq(weight, statistics, CHANNEL, GptqArguments())
    made = statistics.factors[(0.01, True, None)]
    gptq(weight[:8], statistics, WeightFormat(3, group_size=32), GptqArguments(block_size=32))
    assert statistics.factors[(0.01, True, None)] is made and len(statistics.factors) == 1
    gptq(weight, statistics, CHANNEL, GptqArguments(actorder="none"))
    assert len(statistics.factors) == 2


def test_damping_rises_until_the_factorisation_succeeds_and_is_recorded():
    weight, statistics = problem()
    # Not positive definite until the damping exceeds 3 % of the mean diagonal.
    eigenvalues, vectors = torch.linalg.eigh(statistics.gram)
    mean = float(eigenvalues.mean())
    eigenvalues[0] = -0.03 * mean
    broken = Statistics(vectors @ torch.diag(eigenvalues) @ vectors.t(), 1024)
    quantized = gptq(weight, broken, CHANNEL, GptqArguments())
    assert quantized.report.damping_tried == (0.01, 0.02, 0.04)
    assert quantized.report.damping == 0.04
    assert quantized.report.fallback is None


@pytest.mark.parametrize("kind", ["never positive", "zero", "not finite"])
def test_what_cannot_be_inverted_falls_back_to_rtn_and_says_so(kind: str):
    weight, statistics = problem()
    gram = statistics.gram
    if kind == "never positive":
        gram = gram - 10 * gram.diagonal().mean() * torch.ones_like(gram)
        gram.diagonal().add_(10 * statistics.gram.diagonal().mean())
    elif kind == "zero":
        gram = torch.zeros_like(gram)
    else:
        gram = gram.clone()
        gram[0, 0] = float("nan")
    quantized = gptq(weight, Statistics(gram, 1), CHANNEL, GptqArguments())
    assert quantized.report.applied == "rtn" and quantized.report.fallback
    assert torch.equal(quantized.codes, rtn(weight, None, CHANNEL, RtnArguments()).codes)


def test_the_weights_that_go_in_are_not_changed():
    weight, statistics = problem(dtype=torch.float32)
    before = weight.clone()
    gptq(weight, statistics, CHANNEL, GptqArguments())
    assert torch.equal(weight, before)
