WITH "t2" AS (
  SELECT
    "t1"."customer_id",
    "t1"."order_date",
    COUNT_IF(NOT (
      "t1"."net_amount" < 0
    )) AS "orders",
    COUNT_IF("t1"."net_amount" < 0) AS "refunds",
    SUM(CAST("t1"."net_amount" AS DECIMAL(18, 4))) AS "net_amount",
    SUM(CAST("t1"."gross_amount" AS DECIMAL(18, 4))) AS "gross_amount",
    SUM(CAST("t1"."discount_amount" AS DECIMAL(18, 4))) AS "discount_amount"
  FROM (
    SELECT
      *
    FROM "orders" AS "t0"
    WHERE
      "t0"."order_date" <= DATE_FROM_PARTS(2026, 11, 21)
  ) AS "t1"
  GROUP BY
    1,
    2
)
SELECT
  "t9"."customer_id",
  CAST("t9"."last_amount" AS DOUBLE) AS "last_amount",
  CAST("t9"."largest_amount" AS DOUBLE) AS "largest_amount",
  CAST("t9"."orders_30d" AS DOUBLE) AS "orders_30d",
  CAST("t9"."orders_60d" AS DOUBLE) AS "orders_60d",
  CAST("t9"."orders_90d" AS DOUBLE) AS "orders_90d",
  CAST("t9"."orders_180d" AS DOUBLE) AS "orders_180d",
  CAST("t9"."orders_365d" AS DOUBLE) AS "orders_365d",
  CAST("t7"."amount_30d" AS DOUBLE) AS "amount_30d",
  CAST("t7"."amount_60d" AS DOUBLE) AS "amount_60d",
  CAST("t7"."amount_90d" AS DOUBLE) AS "amount_90d",
  CAST("t7"."amount_180d" AS DOUBLE) AS "amount_180d",
  CAST("t7"."amount_365d" AS DOUBLE) AS "amount_365d"
FROM (
  SELECT
    "t6"."customer_id",
    MAX_BY("t6"."net_amount", "t6"."order_date") AS "last_amount",
    MAX("t6"."net_amount") AS "largest_amount",
    COUNT_IF("t6"."order_date" > DATE_FROM_PARTS(2026, 10, 22)) AS "orders_30d",
    COUNT_IF("t6"."order_date" > DATE_FROM_PARTS(2026, 9, 22)) AS "orders_60d",
    COUNT_IF("t6"."order_date" > DATE_FROM_PARTS(2026, 8, 23)) AS "orders_90d",
    COUNT_IF("t6"."order_date" > DATE_FROM_PARTS(2026, 5, 25)) AS "orders_180d",
    COUNT_IF("t6"."order_date" > DATE_FROM_PARTS(2025, 11, 21)) AS "orders_365d"
  FROM (
    SELECT
      "t4".*
      EXCLUDE ("refunds")
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
    ) AS "t4"
  ) AS "t6"
  GROUP BY
    1
) AS "t9"
INNER JOIN (
  SELECT
    "t3"."customer_id",
    CAST(COALESCE(
      SUM(IFF("t3"."order_date" > DATE_FROM_PARTS(2026, 10, 22), "t3"."net_amount", NULL)),
      0
    ) AS DECIMAL(18, 4)) AS "amount_30d",
    CAST(COALESCE(
      SUM(IFF("t3"."order_date" > DATE_FROM_PARTS(2026, 9, 22), "t3"."net_amount", NULL)),
      0
    ) AS DECIMAL(18, 4)) AS "amount_60d",
    CAST(COALESCE(
      SUM(IFF("t3"."order_date" > DATE_FROM_PARTS(2026, 8, 23), "t3"."net_amount", NULL)),
      0
    ) AS DECIMAL(18, 4)) AS "amount_90d",
    CAST(COALESCE(
      SUM(IFF("t3"."order_date" > DATE_FROM_PARTS(2026, 5, 25), "t3"."net_amount", NULL)),
      0
    ) AS DECIMAL(18, 4)) AS "amount_180d",
    CAST(COALESCE(
      SUM(IFF("t3"."order_date" > DATE_FROM_PARTS(2025, 11, 21), "t3"."net_amount", NULL)),
      0
    ) AS DECIMAL(18, 4)) AS "amount_365d"
  FROM "t2" AS "t3"
  GROUP BY
    1
) AS "t7"
  ON "t9"."customer_id" = "t7"."customer_id"
