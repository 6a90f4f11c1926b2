"""Where a pass through a block stops: at layers that read the same tensor, found by running the block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quant_engine.architectures.registry import DecoderFamily
from quant_engine.architectures.routed import RoutedInputs, expert_of
from quant_engine.errors import QuantError

if TYPE_CHECKING:
    from torch import Tensor, nn

Calls = list[tuple["Tensor", ...]]
"""For each batch the positional arguments that a module is called with."""
Inputs = Callable[[], "list[Tensor]"]


@dataclass
class Stop:
    """module: where passes stop, about to run it. groups: names of linear layers, those with the same input together.

    Of a block's experts the stop is the module that holds them all; each expert reads only the tokens routed to it.
    """

    module: nn.Module
    groups: list[list[str]]
    experts: RoutedInputs | None = None

    def inputs(self, calls: Calls) -> Iterator[tuple[list[str], Inputs]]:
        """For each group what makes its layers' inputs (… × in) of `calls`, which is emptied.

        The input of an expert's last layer is computed with the weights of its first ones as they are then.
        """
        if self.experts is None:
            tensors = [call[0] for call in calls]
            calls.clear()
            (names,) = self.groups
            yield names, lambda: tensors
        else:
            yield from self.experts.inputs(calls)


def find_stops(
    block: nn.Module, names: Mapping[str, nn.Module], family: DecoderFamily, run: Callable[[nn.Module], Any]
) -> list[Stop]:
    """The stops of a block in execution order, from one pass that `run` makes.

    names: the block's linear layers by full name. Raises QuantError(code="model-unsupported") for a layer that does not run exactly
    once.
    """
    routed = {name: _inner(name, family) for name in names if expert_of(family.experts, _inner(name, family))}
    plain = {module: name for name, module in names.items() if name not in routed}
    stops: list[Stop] = []
    given: list[tuple[Any, int]] = []

    def note(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        # The same tensor with the same content: an operation in place counts its version up.
        tensor, version = arguments[0], arguments[0]._version
        for stop, (earlier, earlier_version) in zip(stops, given, strict=True):
            if earlier is tensor and earlier_version == version:
                stop.groups[0].append(plain[module])
                return
        stops.append(Stop(module, [[plain[module]]]))
        given.append((tensor, version))

    def note_experts(module: nn.Module, _: tuple[Any, ...]) -> None:
        assert family.experts is not None
        inputs = RoutedInputs.of(module, family.experts, routed)
        stops.append(Stop(module, inputs.groups, inputs))
        given.append((None, 0))

    hooks = [module.register_forward_pre_hook(note) for module in plain]
    if family.experts is not None and routed:
        hooks.append(block.get_submodule(family.experts.module).register_forward_pre_hook(note_experts))
    try:
        run(block)
    finally:
        for hook in hooks:
            hook.remove()
    _refuse_other_paths(list(names), [name for stop in stops for group in stop.groups for name in group], family)
    return stops


def _inner(name: str, family: DecoderFamily) -> str:
    """A layer's name relative to its block."""
    return name.removeprefix(f"{family.blocks}.").partition(".")[2]


def _refuse_other_paths(names: list[str], reached: list[str], family: DecoderFamily) -> None:
    """A layer that runs never, or twice on different inputs, would be quantized for inputs that it does not have."""
    counts = Counter(reached)
    for name in names:
        if counts[name] != 1:
            raise QuantError(
                f"{name} of {family.architecture} runs {counts[name]} times when its block runs once",
                code="model-unsupported",
                advice="Choose a checkpoint of a supported architecture.",
            )
