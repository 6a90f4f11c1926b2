"""How much the model's answers hang on each output of each linear layer: one backward pass, block by block.

A small change e of a layer's output changes the next-token distributions by a KL divergence of ½·eᵀFe, F their Fisher matrix in terms of
that output. Of F the diagonal is taken, averaged over tokens: the mean squared gradient g² of a random loss whose gradient at the logits
has the Fisher matrix as its covariance (`loss`). Then Σ over layers and outputs of noise·g²/2, noise as the measurement knows it for every
candidate, predicts what an assignment costs in nats. What it leaves out: correlations of the errors of different outputs and layers, of
errors and gradients over tokens, and everything beyond the second order.
"""

from quant_engine.importance.passes import passes, prices, some_of
from quant_engine.importance.store import Store

__all__ = ["Store", "passes", "prices", "some_of"]
