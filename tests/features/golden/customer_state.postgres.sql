WITH "t2" AS (
  SELECT
    "t1"."customer_id",
    "t1"."order_date",
    SUM(CAST(CAST(NOT (
      "t1"."net_amount" < 0
    ) AS INT) AS BIGINT)) AS "orders",
    SUM(CAST(CAST("t1"."net_amount" < 0 AS INT) AS BIGINT)) AS "refunds",
    SUM(CAST("t1"."net_amount" AS DECIMAL(18, 4))) AS "net_amount",
    SUM(CAST("t1"."gross_amount" AS DECIMAL(18, 4))) AS "gross_amount",
    SUM(CAST("t1"."discount_amount" AS DECIMAL(18, 4))) AS "discount_amount"
  FROM (
    SELECT
      *
    FROM "orders" AS "t0"
    WHERE
      "t0"."order_date" <= MAKE_DATE(2026, 11, 21)
  ) AS "t1"
  GROUP BY
    1,
    2
)
SELECT
  "t10"."customer_id",
  MAKE_DATE(2026, 11, 21) AS "as_of",
  "t10"."purchase_days" - 1 AS "frequency",
  CAST(EXTRACT(epoch FROM CAST("t10"."last_order_date" AS TIMESTAMP) - CAST("t10"."first_order_date" AS TIMESTAMP)) / 86400 AS BIGINT) AS "recency_days",
  CAST(EXTRACT(epoch FROM CAST(MAKE_DATE(2026, 11, 21) AS TIMESTAMP) - CAST("t10"."first_order_date" AS TIMESTAMP)) / 86400 AS BIGINT) AS "age_days",
  CASE
    WHEN (
      "t10"."purchase_days" - 1
    ) > 0
    THEN CAST("t10"."bought" - "t10"."first_net_amount" AS DOUBLE PRECISION) / (
      "t10"."purchase_days" - 1
    )
    ELSE 0.0
  END AS "monetary_value",
  "t10"."first_order_date",
  "t10"."last_order_date",
  "t10"."orders",
  CAST("t10"."revenue" AS DOUBLE PRECISION) AS "revenue",
  CAST("t10"."first_net_amount" AS DOUBLE PRECISION) AS "first_amount",
  CAST("t10"."first_discount_amount" AS DOUBLE PRECISION) / NULLIF(CAST("t10"."first_gross_amount" AS DOUBLE PRECISION), 0) AS "first_discount_share"
FROM (
  SELECT
    "t9"."customer_id",
    "t9"."purchase_days",
    "t9"."orders",
    "t9"."bought",
    "t9"."first_order_date",
    "t9"."last_order_date",
    "t9"."first_net_amount",
    "t9"."first_gross_amount",
    "t9"."first_discount_amount",
    "t5"."revenue"
  FROM (
    SELECT
      "t7"."customer_id",
      COUNT(*) AS "purchase_days",
      SUM("t7"."orders") AS "orders",
      SUM("t7"."net_amount") AS "bought",
      MIN("t7"."order_date") AS "first_order_date",
      MAX("t7"."order_date") AS "last_order_date",
      (
        ARRAY_AGG("t7"."net_amount" ORDER BY "t7"."order_date" ASC) FILTER(WHERE
          "t7"."order_date" IS NOT NULL)
      )[1] AS "first_net_amount",
      (
        ARRAY_AGG("t7"."gross_amount" ORDER BY "t7"."order_date" ASC) FILTER(WHERE
          "t7"."order_date" IS NOT NULL)
      )[1] AS "first_gross_amount",
      (
        ARRAY_AGG("t7"."discount_amount" ORDER BY "t7"."order_date" ASC) FILTER(WHERE
          "t7"."order_date" IS NOT NULL)
      )[1] AS "first_discount_amount"
    FROM (
      SELECT
        "t6"."customer_id",
        "t6"."order_date",
        "t6"."orders",
        "t6"."net_amount",
        "t6"."gross_amount",
        "t6"."discount_amount"
      FROM (
        SELECT
          *
        FROM "t2" AS "t3"
        WHERE
          (
            "t3"."net_amount" > 0
          )
          OR (
            (
              "t3"."net_amount" = 0
            ) AND (
              "t3"."refunds" = 0
            )
          )
      ) AS "t6"
    ) AS "t7"
    GROUP BY
      1
  ) AS "t9"
  INNER JOIN (
    SELECT
      "t3"."customer_id",
      SUM("t3"."net_amount") AS "revenue"
    FROM "t2" AS "t3"
    GROUP BY
      1
  ) AS "t5"
    ON "t9"."customer_id" = "t5"."customer_id"
) AS "t10"
