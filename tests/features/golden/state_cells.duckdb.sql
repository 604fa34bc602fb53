SELECT
  *
FROM (
  SELECT
    "t0"."frequency",
    "t0"."recency_days",
    "t0"."age_days",
    COUNT(*) AS "customers"
  FROM "customer_state" AS "t0"
  GROUP BY
    1,
    2,
    3
) AS "t1"
ORDER BY
  "t1"."frequency" ASC,
  "t1"."recency_days" ASC,
  "t1"."age_days" ASC
