"""Random numbers that are a function of what they are for, whose they are and which one.

Nothing is drawn from a stream, so no number depends on the order of the work, on how it is cut
into pieces, on how far it goes, or on what else was drawn: the same customer in two worlds that
differ by one action has the same luck [1]_, [2]_.

References
----------
.. [1] Salmon, Moraes, Dror & Shaw (2011), Parallel Random Numbers: As Easy as 1, 2, 3, SC '11.
.. [2] Steele, Lea & Flood (2014), Fast Splittable Pseudorandom Number Generators, OOPSLA '14:
   the mixing function, in Stafford's variant 13.
"""

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, gammaincinv, ndtri

Array = NDArray[np.float64]
Keys = NDArray[np.uint64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True)
class Draws:
    """All random numbers of one seed.

    Attributes
    ----------
    seed
        Any whole number from 0 on.
    """

    seed: int

    def keys(self, purpose: str, *whose: ArrayLike) -> Keys:
        """Return 64 random bits each.

        Parameters
        ----------
        purpose
            What they are for; every purpose has numbers of its own.
        *whose
            Whole numbers from 0 on, arrays that broadcast to shape (n,): whose, then which one.

        Returns
        -------
        Keys
            Shape (n,).
        """
        bits = np.full(1, _start(self.seed, purpose))
        for part in whose:
            bits = _mix(bits + (np.atleast_1d(part).astype(np.uint64) + np.uint64(1)) * GOLDEN)
        return bits

    def uniform(self, purpose: str, *whose: ArrayLike) -> Array:
        """Return numbers between 0 and 1, both excluded; arguments as of :meth:`keys`."""
        return ((self.keys(purpose, *whose) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53

    def normal(self, purpose: str, *whose: ArrayLike) -> Array:
        """Return standard normal numbers."""
        return np.asarray(ndtri(self.uniform(purpose, *whose)))

    def exponential(self, purpose: str, *whose: ArrayLike) -> Array:
        """Return exponential numbers of mean 1."""
        return -np.log(self.uniform(purpose, *whose))

    def gamma(self, shape: float, purpose: str, *whose: ArrayLike) -> Array:
        """Return gamma numbers of scale 1."""
        return np.asarray(gammaincinv(shape, self.uniform(purpose, *whose)))

    def beta(self, a: float, b: float, purpose: str, *whose: ArrayLike) -> Array:
        """Return beta numbers."""
        return np.asarray(betaincinv(a, b, self.uniform(purpose, *whose)))

    def choice(self, weights: ArrayLike, purpose: str, *whose: ArrayLike) -> NDArray[np.intp]:
        """Return which of the weighted options was drawn, from 0 on."""
        shares = np.cumsum(np.asarray(weights, dtype=np.float64))
        index = np.searchsorted(shares / shares[-1], self.uniform(purpose, *whose), side="right")
        return np.minimum(index, len(shares) - 1)


@lru_cache(maxsize=1024)
def _start(seed: int, purpose: str) -> np.uint64:
    digest = sha256(f"{seed}:{purpose}".encode()).digest()
    return np.uint64(int.from_bytes(digest[:8], "little"))


def _mix(bits: Keys) -> Keys:
    """Spread every bit over all others; one to one."""
    bits = (bits ^ (bits >> np.uint64(30))) * FIRST
    bits = (bits ^ (bits >> np.uint64(27))) * SECOND
    return bits ^ (bits >> np.uint64(31))
