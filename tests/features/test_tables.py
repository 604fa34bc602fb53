import pytest

from features.tables import TABLES, Scores

CONTRACT = [
    "customer_id",
    "as_of",
    "frequency",
    "recency_days",
    "age_days",
    "monetary_value",
    "first_order_date",
    "last_order_date",
    "orders",
    "revenue",
    "p_alive",
    "p_order_90d",
    "churn_probability",
    "expected_orders",
    "expected_order_value",
    "discount_factor",
    "expected_value",
    "expected_margin",
    "value_low",
    "value_high",
    "p_second_order",
    "next_order_date",
    "rfm_score",
    "segment",
    "journey_stage",
    "investment_tier",
    "expected_return",
    "is_holdout",
    "loyalty_tier",
    "orders_to_next_tier",
    "reason",
    "model_version",
    "run_id",
]


def test_scores_use_the_contracts_names_in_the_contracts_order():
    ours = list(Scores.schema())
    assert ours == [name for name in CONTRACT if name in ours]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_column_says_what_it_means(table):
    assert table.__doc__
    assert all(column.meaning for column in table.columns().values())
