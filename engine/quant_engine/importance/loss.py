"""The gradient at the logits from which importance is propagated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quant_engine.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def fisher_gradient(logits: Tensor, generator: torch.Generator) -> Tensor:
    """A random vector v for each position (positions × vocabulary, float32) with E[v vᵀ] = diag(p) − p pᵀ, p = softmax(logits).

    That is the Fisher matrix of the categorical distribution p at its logits, and the second derivative of KL(p ‖ q) there. v = A ε with
    A = diag(√p) − p √pᵀ (A Aᵀ is that matrix) and independent signs ε. The gradient of a label drawn from p has the same covariance and
    scatters more: it is nearly zero where the model is sure, and large now and then. Labels of the text would give the empirical Fisher
    matrix, which is not the curvature of KL where the model is wrong (docs/decisions/0012-importance.md).
    """
    p = torch.softmax(logits.float(), dim=-1)
    signs = torch.randint(0, 2, p.shape, generator=generator, device=p.device, dtype=torch.int8)
    root = p.sqrt().mul_(signs.mul_(2).sub_(1))
    return root - p.mul_(root.sum(-1, keepdim=True))
