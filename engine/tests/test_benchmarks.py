"""The end-to-end numbers against transformers' whole model and against direct formulas in float64."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from quant_engine.architectures.decoder import open_model
from quant_engine.benchmarks.perplexity import Evaluated, evaluate
from quant_engine.benchmarks.statistics import Estimate, exponential, ratio
from quant_engine.checkpoint import Checkpoint
from quant_engine.run import Request, start
from quant_engine.tokens import held_out_tokens, load_tokenizer
from small_workspace import make_workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = make_workspace(tmp_path_factory.mktemp("benchmarks"), blocks=2)
    hurt = ("quantize.default=rtn-w2a16-g64", "quantize.rules.0.use=rtn-w3a16-channel", "evaluate.samples=6")
    outcome = start(Request("run", recipe, hurt, "cpu"))
    assert outcome.exit_code == 0 and outcome.result is not None
    (recipe.parent / "result.json").write_text(outcome.result.model_dump_json())
    return recipe.parent


@pytest.fixture(scope="module")
def batches(workspace: Path) -> list[Tensor]:
    return held_out_tokens(load_tokenizer(workspace / "model"), workspace / "held-out.txt", 6, 32).batches


def whole_model_logits(folder: Path, batches: list[Tensor]) -> list[Tensor]:
    """Logits of each sequence's predicting positions from transformers, the checkpoint loaded as any user would, float64."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        return [logits[:-1].double() for batch in batches for logits in model(batch).logits]


def losses(logits: list[Tensor], batches: list[Tensor]) -> list[Tensor]:
    sequences = [sequence for batch in batches for sequence in batch]
    return [
        torch.nn.functional.cross_entropy(one, sequence[1:], reduction="none")
        for one, sequence in zip(logits, sequences, strict=True)
    ]


def test_perplexity_of_the_original_equals_transformers(workspace: Path, batches: list[Tensor]) -> None:
    checkpoint = Checkpoint.open(workspace / "model")
    scores = evaluate(batches, Evaluated(open_model(checkpoint)), None).scores()
    expected = torch.cat(losses(whole_model_logits(workspace / "model", batches), batches)).mean().exp().item()
    assert scores.baseline_perplexity is not None and scores.perplexity is None and scores.kl is None
    assert scores.baseline_perplexity.value == pytest.approx(expected, rel=1e-5)
    assert (scores.baseline_perplexity.samples, scores.baseline_perplexity.tokens) == (6, 6 * 31)


def test_a_run_reports_what_transformers_finds_in_its_output(workspace: Path, batches: list[Tensor]) -> None:
    from quant_engine.result import Result

    scores = Result.model_validate_json((workspace / "result.json").read_text()).scores
    before = whole_model_logits(workspace / "model", batches)
    after = whole_model_logits(workspace / "quantized", batches)
    assert scores.perplexity and scores.baseline_perplexity and scores.kl and scores.same_top
    assert scores.perplexity.value == pytest.approx(torch.cat(losses(after, batches)).mean().exp().item(), rel=1e-5)
    logs = [(p.log_softmax(-1), q.log_softmax(-1)) for p, q in zip(before, after, strict=True)]
    kl = torch.cat([(p.exp() * (p - q)).sum(-1) for p, q in logs]).mean().item()
    same = torch.cat([(p.argmax(-1) == q.argmax(-1)).double() for p, q in logs]).mean().item()
    assert kl > 0.01 and 0 < same < 1, "the checkpoint is not hurt enough to tell anything"
    assert scores.kl.value == pytest.approx(kl, rel=1e-4)
    assert scores.same_top.value == pytest.approx(same, abs=1e-12)
    assert scores.perplexity_ratio is not None
    assert scores.perplexity_ratio.value == pytest.approx(scores.perplexity.value / scores.baseline_perplexity.value, rel=1e-12)
    pairs = zip(losses(before, batches), losses(after, batches), strict=True)
    each = [(quantized.mean() - original.mean()).item() for original, quantized in pairs]
    spread = torch.tensor(each).double().std().item() / len(each) ** 0.5
    assert scores.perplexity_ratio.standard_error == pytest.approx(scores.perplexity_ratio.value * spread, rel=1e-3)


def test_a_model_agrees_with_itself(workspace: Path, batches: list[Tensor]) -> None:
    checkpoint = Checkpoint.open(workspace / "model")
    scores = evaluate(batches, Evaluated(open_model(checkpoint)), Evaluated(open_model(checkpoint))).scores()
    assert scores.kl and scores.same_top and scores.perplexity and scores.baseline_perplexity
    assert (scores.kl.value, scores.same_top.value) == (0.0, 1.0)
    assert scores.perplexity.value == scores.baseline_perplexity.value


def test_chunks_of_logits_do_not_change_the_sums(workspace: Path, batches: list[Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    from quant_engine.benchmarks import perplexity

    checkpoint = Checkpoint.open(workspace / "model")
    whole = evaluate(batches, Evaluated(open_model(checkpoint)), None)
    monkeypatch.setattr(perplexity, "CHUNK", 7)
    parts = evaluate(batches, Evaluated(open_model(checkpoint)), None)
    assert parts.baseline == pytest.approx(whole.baseline, rel=1e-6)
    assert parts.counts == whole.counts


def test_the_standard_error_is_that_of_independent_sequences() -> None:
    """Worked by hand: sums 2, 4, 9 over 1, 2, 3 tokens; r = 2.5; residuals −0.5, −1, 1.5; Σ² = 3.5; √(3/2 · 3.5)/6."""
    estimate = ratio([2.0, 4.0, 9.0], [1, 2, 3])
    assert estimate.value == 2.5
    assert estimate.standard_error == pytest.approx(math.sqrt(1.5 * 3.5) / 6, rel=1e-15)


def test_with_equal_lengths_it_is_the_usual_standard_error_of_a_mean() -> None:
    means = torch.tensor([1.0, 4.0, 2.5, 3.0, 7.0], dtype=torch.float64)
    estimate = ratio((means * 10).tolist(), [10] * 5)
    assert estimate.value == pytest.approx(means.mean().item(), rel=1e-15)
    assert estimate.standard_error == pytest.approx((means.std() / math.sqrt(5)).item(), rel=1e-14)


def test_the_standard_error_covers_repeated_draws() -> None:
    """Over 2,000 draws of 64 sequences, 95 % intervals contain the true mean in about 95 % of them (binomial spread 0.5 %)."""
    generator = torch.Generator().manual_seed(0)
    draws = 3.0 + torch.randn(2000, 64, generator=generator, dtype=torch.float64)
    covered = 0
    for draw in draws.tolist():
        estimate = ratio([value * 31 for value in draw], [31] * 64)
        covered += abs(estimate.value - 3.0) < 1.96 * estimate.standard_error
    assert 0.93 < covered / 2000 < 0.965


def test_the_delta_method_is_the_slope_of_exp() -> None:
    estimate = exponential(Estimate(2.0, 0.1))
    assert estimate.value == pytest.approx(math.exp(2), rel=1e-15)
    step = 1e-6
    slope = (math.exp(2 + step) - math.exp(2 - step)) / (2 * step)
    assert estimate.standard_error == pytest.approx(0.1 * slope, rel=1e-8)


def test_one_sequence_has_no_standard_error() -> None:
    with pytest.raises(ValueError, match="two sequences"):
        ratio([1.0], [31])
