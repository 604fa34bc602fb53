"""Who is kept out of retention marketing, so that what it brings can be measured.

A customer is drawn once, when first seen, and stays as drawn for ever: the draw is stored, and what
is stored counts, whatever the settings say later.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

import numpy as np
import pandas as pd
from numpy.typing import NDArray

BUCKETS = 10_000
COLUMNS = ("customer_id", "program", "is_holdout", "share", "salt", "assigned_date")
CONTROL = "control"  # the permanent control group, kept out of every program


class RedrawError(ValueError):
    """A group that was drawn would be drawn again."""


@dataclass(frozen=True)
class Draw:
    """How customers are drawn into an arm.

    Attributes
    ----------
    program
        What the arm is held out of; :data:`CONTROL` = everything.
    share
        Share held out, 0 to 1.
    salt
        Name of the draw. Another salt draws an independent group.
    """

    program: str
    share: float
    salt: str


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
        Name of the draw.

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
    return np.fromiter((bucket(c, salt) for c in customer_ids), dtype=np.intp) < _limit(share)


def _limit(share: float) -> int:
    return round(share * BUCKETS)


def assign(
    customer_ids: Iterable[str],
    drawn: pd.DataFrame,
    draw: Draw,
    on: date,
    buckets: Callable[[pd.Index, str], NDArray[np.int64]] | None = None,
) -> tuple[NDArray[np.bool_], pd.DataFrame]:
    """Return the arm of each customer, and the rows that are new: nobody is drawn twice.

    Parameters
    ----------
    customer_ids
        n customers who are eligible: eligibility is settled before the draw, and equal in both arms.
    drawn
        All that was drawn before, :data:`COLUMNS`. Of customers who were merged, the earliest counts.
    draw
        How the new ones are drawn.
    on
        The day.
    buckets
        Says of many ids and a salt, sooner, what :func:`bucket` says of each; None = that.

    Returns
    -------
    tuple
        Whether held out, shape (n,); new rows, :data:`COLUMNS`.

    Raises
    ------
    RedrawError
        The program was drawn under another salt.
    """
    before = drawn[drawn["program"] == draw.program]
    salts = set(before["salt"]) - {draw.salt}
    if salts:
        raise RedrawError(
            f"a holdout is drawn once: {len(before):,} customers of {draw.program!r} were drawn with the "
            f"salt {sorted(salts)[0]!r}, the settings say {draw.salt!r}. Set the salt back, or name a new "
            "program under [holdout.programs]"
        )
    ids = pd.Index(pd.Series(customer_ids, dtype="str"))
    first = before.sort_values("assigned_date", kind="stable").drop_duplicates("customer_id")
    place = pd.Index(first["customer_id"], dtype=ids.dtype).get_indexer(ids)
    is_unseen = place < 0
    unseen = ids[is_unseen]
    if buckets is None:
        held = is_holdout(unseen, share=draw.share, salt=draw.salt)
    else:
        held = buckets(unseen, draw.salt) < _limit(draw.share)
    arm = np.zeros(len(ids), dtype=bool)
    arm[~is_unseen] = first["is_holdout"].to_numpy(dtype=bool)[place[~is_unseen]]
    arm[is_unseen] = held
    new = pd.DataFrame(
        {
            "customer_id": unseen,
            "program": draw.program,
            "is_holdout": held,
            "share": draw.share,
            "salt": draw.salt,
            "assigned_date": on,
        },
        columns=list(COLUMNS),
    )
    return arm, new
