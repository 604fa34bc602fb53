"""The mean forecast of several purchase models, where a history does not single out one.

References
----------
.. [1] Burnham & Anderson (2002), Model Selection and Multimodel Inference, section 2.9 and chapter 4.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from models.purchases.model import Array, PurchaseModel, as_arrays


@dataclass(frozen=True)
class Averaged(PurchaseModel):
    """A mixture of fitted models, with weights that all customers share.

    Phases of an active customer are those of the members, one after the other.

    Attributes
    ----------
    members
        The models, of different kinds.
    weights
        Their weights, all positive, summing to 1.
    """

    members: tuple[PurchaseModel, ...]
    weights: tuple[float, ...]

    name: ClassVar = "average"
    title: ClassVar = "Akaike average"
    free: ClassVar[tuple[str, ...]] = ()
    times: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, members: Sequence[PurchaseModel], weights: Sequence[float]) -> "Averaged":
        """Return the mixture with weights scaled to sum to 1."""
        total = sum(weights)
        return cls(tuple(members), tuple(float(weight / total) for weight in weights))

    @classmethod
    def starts(cls, rate: float) -> list[tuple[float, ...]]:  # noqa: ARG003
        """Refuse: members are fitted one by one."""
        raise TypeError("an average is not fitted: fit its members")

    def notes(self, at_bound: Collection[str]) -> tuple[str, ...]:  # noqa: ARG002
        """Return nothing: notes are those of the members' fits."""
        return ()

    def gradient(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> tuple[Array, Array]:  # noqa: ARG002
        """Refuse: members are fitted one by one, and their likelihoods have different constants."""
        raise TypeError("an average has no likelihood: use those of its members")

    def p_alive(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Weighted mean of the members' chances of not having left for good, shape (n,)."""
        return self._mean([member.p_alive(x, t_x, T) for member in self.members])

    def p_order(self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Weighted mean of the members' chances of at least one purchase, shape (n,)."""
        return self._mean([member.p_order(days, x, t_x, T) for member in self.members])

    def moments(self, days: ArrayLike, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Weighted mean of the members' moments, shape (3, n)."""
        return self._mean([member.moments(days, x, t_x, T) for member in self.members])

    def active(self, x: ArrayLike, t_x: ArrayLike, T: ArrayLike) -> Array:
        """Chances of being active in each member's phases, times its weight, shape (phases, n)."""
        pairs = zip(self.weights, self.members, strict=True)
        return np.concatenate([weight * member.active(x, t_x, T) for weight, member in pairs])

    def active_tails(self, days: ArrayLike, x: ArrayLike, T: ArrayLike) -> Iterator[Array]:
        """Yield the chances of at least 1, 2, 3, ... purchases of someone active, shape (phases, n)."""
        days, x, T = as_arrays(days, x, T)
        streams = [member.active_tails(days, x, T) for member in self.members]
        tails = [next(stream) for stream in streams]
        while True:
            yield np.concatenate(tails)
            tails = [
                next(stream, np.zeros_like(last))
                for stream, last in zip(streams, tails, strict=True)
            ]

    def active_orders(self, days: ArrayLike, x: ArrayLike, T: ArrayLike) -> Array:
        """Purchases expected in the next `days` days of someone active, shape (phases, n)."""
        return np.concatenate([member.active_orders(days, x, T) for member in self.members])

    def to_dict(self) -> dict[str, float]:
        """Return the members' weights and parameters by name."""
        values: dict[str, float] = {}
        for weight, member in zip(self.weights, self.members, strict=True):
            values[f"{member.kind}.weight"] = weight
            values |= {f"{member.kind}.{name}": value for name, value in member.to_dict().items()}
        return values

    def _mean(self, answers: Sequence[Array]) -> Array:
        total = self.weights[0] * answers[0]
        for weight, answer in zip(self.weights[1:], answers[1:], strict=True):
            total = total + weight * answer
        return np.asarray(total)
