"""Which layer is quantized how: rules, then the budget, then the default; and the front of all good trades.

`rules` decides what is fixed, `units` and `tables` make numbers of the rest, `hull` and `solver` choose, `front` walks from the cheapest
choice to the best.
"""

from quant_engine.assignment.assign import assign, pareto_front
from quant_engine.assignment.rules import Assigned
from quant_engine.assignment.storage import Storage
from quant_engine.assignment.tables import LayerMeasurements
from quant_engine.assignment.units import fused_layers

__all__ = ["Assigned", "LayerMeasurements", "Storage", "assign", "fused_layers", "pareto_front"]
