"""A forward pass that keeps every block's inputs, and a backward pass that runs each block once more from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from quant_engine.architectures.decoder import BlockInput, DecoderModel
from quant_engine.errors import QuantError
from quant_engine.importance.loss import fisher_gradient
from quant_engine.importance.outputs import OutputGradients
from quant_engine.lazy import torch
from quant_engine.linalg.halves import in_float32
from quant_engine.tokens import IMPORTANCE_TOKENS

if TYPE_CHECKING:
    from torch import Tensor

    from quant_engine.importance.store import Store

_POSITIONS = 256
"""Logits that are in memory at a time."""

Tick = Callable[[], None]
Arguments = Sequence[Sequence[dict[str, Any]]]
"""For each batch the keyword arguments of every block."""


def passes(
    model: DecoderModel, batches: Sequence[Tensor], store: Store, seed: int, tick: Tick = lambda: None
) -> Iterator[int | None]:
    """Fill `store` with the importance of every linear layer of the blocks, and of an untied head.

    Yields the block (None: the head) after each of 2·blocks + 1 steps, when all that the next one needs is durable; steps that are done
    already are passed over. batches: tokens (batch × tokens, int64), see `some_of`. seed: of the random loss. In memory are one block, what
    its backward pass keeps of one batch, and hidden states or gradients of all batches between two blocks; hidden states of all batches
    before all blocks are in the store. tick is called before each batch; what it raises ends the passes. Raises
    QuantError(code="not-differentiable"), ("not-finite").
    """
    count, done = model.block_count, store.done
    states = model.embed(batches)
    if done == 0:
        store.put_inputs(0, [state.hidden for state in states])
    arguments: Arguments = [state.arguments for state in states]
    del states
    for index in range(done, count):
        store.put_inputs(index + 1, list(_forward(model, index, store, arguments, tick)))
        yield index
    if done <= count:
        store.put_step(count, *_head(model, store, seed, tick))
        yield None
    for index in range(count - 1 - max(done - count - 1, 0), -1, -1):
        store.put_step(index, *_backward(model, index, store, arguments, tick))
        yield index


def some_of(batches: Sequence[Tensor], most: int = IMPORTANCE_TOKENS) -> list[Tensor]:
    """The first batches, of about `most` tokens together, but at least one."""
    chosen: list[Tensor] = []
    for batch in batches:
        if chosen and sum(one.numel() for one in chosen) + batch.numel() > most:
            break
        chosen.append(batch)
    return chosen


def prices(importance: Mapping[str, Tensor], tokens: int, device: str = "cpu") -> dict[str, Tensor]:
    """By layer what one unit of noise energy at each output, summed over `tokens` tokens, costs in nats for each token: (out,) float64.

    ½·g² of the second-order term, g² the mean squared gradient; the KL divergence is a mean over tokens.
    """
    return {name: squares.to(device) * (0.5 / tokens) for name, squares in importance.items()}


def _forward(model: DecoderModel, index: int, store: Store, arguments: Arguments, tick: Tick) -> Iterator[Tensor]:
    """Hidden states after the block, batch by batch."""
    with _loaded(model, index):
        for hidden, given in zip(store.inputs(index), arguments, strict=True):
            tick()
            with in_float32():
                after = model.run_block(index, BlockInput(hidden.to(model.device), given))
            yield after


def _head(model: DecoderModel, store: Store, seed: int, tick: Tick) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Gradients of the random loss at the last hidden states, and the importance of lm_head when it has a weight of its own."""
    head, found = model.load_head(), OutputGradients()
    name = next((linear.name for linear in model.linears if linear.block is None), None)
    generator = torch.Generator(model.device).manual_seed(seed)
    gradients = []
    for hidden in store.inputs(model.block_count):
        tick()
        parts = []
        for positions in hidden.to(model.device).flatten(0, 1).split(_POSITIONS):
            with _differentiating(model):
                positions.requires_grad_()
                outputs = head.outputs(positions)
                logits = head.bounded(outputs)
                wanted = [positions, outputs] if name else [positions]
                gradient, *own = torch.autograd.grad(logits, wanted, fisher_gradient(logits.detach(), generator).to(logits.dtype))
            parts.append(gradient)
            if name:
                found.add(name, own[0])
        gradients.append(torch.cat(parts).reshape(hidden.shape))
    model.free_head()
    _refuse_not_finite(gradients, "the head")
    return gradients, found.means()


def _backward(
    model: DecoderModel, index: int, store: Store, arguments: Arguments, tick: Tick
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Gradients at the block's inputs, batch by batch, and the importance of its layers."""
    found, gradients = OutputGradients(), []
    with _loaded(model, index), found.watching(model.stops(index), model.module):
        for hidden, gradient, given in zip(store.inputs(index), store.gradients(index + 1), arguments, strict=True):
            tick()
            with _differentiating(model):
                state = BlockInput(hidden.to(model.device).requires_grad_(), given)
                with in_float32():
                    after = model.run_block(index, state)
                (before,) = torch.autograd.grad(after, [state.hidden], gradient.to(model.device))
            found.settle()
            gradients.append(before)
    _refuse_not_finite(gradients, f"block {index}")
    return gradients, found.means()


@contextmanager
def _loaded(model: DecoderModel, index: int) -> Iterator[None]:
    model.load_block(index)
    try:
        yield
    finally:
        model.free_block(index)


@contextmanager
def _differentiating(model: DecoderModel) -> Iterator[None]:
    """Gradients are recorded, and on a GPU computed the same way each time.

    Raises QuantError(code="not-differentiable") for what torch cannot differentiate.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if model.device != "cpu":
        torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with torch.enable_grad():
            yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, NotImplementedError) as error:
        if "allocate memory" in str(error):
            raise MemoryError from error
        raise QuantError(
            f"torch finds no gradients of {model.checkpoint.architecture}: {error}",
            code="not-differentiable",
            advice="Set quantize.budget.objective to noise, which needs none.",
            key=("quantize", "budget"),
        ) from error
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def _refuse_not_finite(gradients: Sequence[Tensor], where: str) -> None:
    if not all(bool(torch.isfinite(gradient).all()) for gradient in gradients):
        raise QuantError(
            f"the gradients at the inputs of {where} are not all finite",
            code="not-finite",
            advice="Set quantize.budget.objective to noise, or use bfloat16: the checkpoint overflows in its dtype or is damaged.",
            key=("quantize", "budget"),
        )
