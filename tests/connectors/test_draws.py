import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.draws import buckets
from segments.holdout import bucket

texts = st.text(st.characters(codec="utf-8"), min_size=1)


@settings(deadline=None)
@given(ids=st.lists(texts, max_size=20), salt=texts)
def test_many_are_drawn_as_each_alone(ids, salt):
    drawn = buckets(pd.Index(ids, dtype="str"), salt)
    assert drawn.tolist() == [bucket(customer_id, salt) for customer_id in ids]


def test_a_crowd_keeps_its_order():
    ids = [f"customer {number}" for number in range(300_000)]
    drawn = buckets(pd.Index(ids), "retention")
    assert (drawn[::997] == np.array([bucket(c, "retention") for c in ids[::997]])).all()
