"""What a model hands to its blocks, caught from the model's own forward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


class Catcher(nn.Module):
    """Stands where a block stood: notes the keyword arguments it is called with and returns the hidden states
    unchanged."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        # Not registered as a submodule: models ask a block for attributes such as its attention type, never for its
        # weights.
        object.__setattr__(self, "_block", block)
        self.arguments: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(object.__getattribute__(self, "_block"), name)

    def forward(self, hidden: Tensor, *positional: Any, **arguments: Any) -> Tensor:
        if positional:
            raise TypeError("a block was called with positional arguments after its hidden states")
        self.arguments = arguments
        return hidden
