"""Who is kept out of retention marketing, so that what it brings can be measured."""

from collections.abc import Iterable
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

BUCKETS = 10_000


def bucket(customer_id: str, salt: str) -> int:
    """Return a customer's bucket, 0 to 9,999: the same for ever, and unrelated between salts."""
    return int(sha256(f"{salt}:{customer_id}".encode()).hexdigest()[:16], 16) % BUCKETS


def is_holdout(customer_ids: Iterable[str], *, share: float, salt: str) -> NDArray[np.bool_]:
    """Draw the customers who are held out.

    Parameters
    ----------
    customer_ids
        n customers.
    share
        Share held out, 0 to 1.
    salt
        Name of the draw. Another salt draws an independent group.

    Returns
    -------
    NDArray
        Shape (n,). A customer's draw depends on nobody else's.

    Raises
    ------
    ValueError
        A share outside 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a holdout share lies between 0 and 1; got {share}")
    limit = round(share * BUCKETS)
    return np.fromiter((bucket(c, salt) < limit for c in customer_ids), dtype=bool)
