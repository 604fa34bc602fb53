"""At most one action a customer, the most gain within a budget: the multiple-choice knapsack."""

from segments.allocation.choice import allocate
from segments.allocation.curve import Frontier, marginal_return, return_curve

__all__ = ["Frontier", "allocate", "marginal_return", "return_curve"]
