from pathlib import Path

import numpy as np

from features.tables import Scores
from models.evaluation import METRICS, Prediction, evaluate
from reports.dictionary import data_dictionary
from reports.measures.definitions import DEFINITIONS

DOCS = Path(__file__).parents[2] / "docs" / "data-dictionary.md"


def test_the_dictionary_in_the_docs_is_the_codes():
    """`make docs` writes it."""
    assert DOCS.read_text() == data_dictionary()


def test_every_score_measure_and_metric_is_defined():
    text = data_dictionary()
    assert all(f"| `{name}` |" in text for name in (*Scores.columns(), *DEFINITIONS, *METRICS))
    one = np.ones(1)
    assert set(evaluate(Prediction(one, one), one, one).model_dump()) == set(METRICS)
