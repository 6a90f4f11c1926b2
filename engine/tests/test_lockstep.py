import pytest
import torch
from torch import nn

from quant_engine.lockstep import Lockstep


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.second(self.first(x).relu()) + x


@pytest.fixture
def module() -> Two:
    torch.manual_seed(0)
    return Two().requires_grad_(False)


def test_passes_stop_together_and_continue_through_what_was_changed(module: Two):
    xs = [torch.randn(2, 3) for _ in range(4)]
    walk = Lockstep([[module.first], [module.second]], [lambda x=x: module(x) for x in xs])
    steps = iter(walk)
    assert all(given is x for (given,), x in zip(next(steps), xs, strict=True))
    module.first.weight.data.mul_(2)
    inputs = next(steps)
    module.second.weight.data.neg_()
    assert next(steps, None) is None
    assert module.calls == 4
    for x, (given,), output in zip(xs, inputs, walk.outputs, strict=True):
        assert torch.equal(given, module.first(x).relu())
        assert torch.equal(output, module(x))


def test_an_error_in_one_pass_ends_all_and_leaves_no_hook(module: Two):
    xs = [torch.randn(2, 3), torch.randn(2, 4)]
    walk = Lockstep([[module.second]], [lambda x=x: module(x) for x in xs])
    with pytest.raises(RuntimeError, match="shapes"):
        list(walk)
    assert torch.isfinite(module(xs[0])).all()


def test_stopping_early_unwinds_the_passes(module: Two):
    unwound = []

    def forward() -> torch.Tensor:
        try:
            return module(torch.randn(2, 3))
        finally:
            unwound.append(True)

    steps = iter(Lockstep([[module.first]], [forward, forward]))
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert unwound == [True, True]
    assert torch.isfinite(module(torch.randn(2, 3))).all()


def test_a_tick_can_end_the_walk(module: Two):
    class StopHereError(Exception):
        pass

    ticks = []

    def tick() -> None:
        ticks.append(1)
        if len(ticks) == 3:
            raise StopHereError

    passes = [lambda: module(torch.randn(2, 3))] * 2
    with pytest.raises(StopHereError):
        list(Lockstep([[module.first], [module.second]], passes, tick))
    assert torch.isfinite(module(torch.randn(2, 3))).all()


def test_a_wrong_order_is_an_error(module: Two):
    with pytest.raises(RuntimeError, match="same order"):
        list(Lockstep([[module.second], [module.first]], [lambda: module(torch.randn(2, 3))]))
