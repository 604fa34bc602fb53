SELECT
  "t3"."customer_id",
  MAKE_DATE(2026, 11, 21) AS "as_of",
  "t3"."purchase_days" - 1 AS "frequency",
  CAST(EXTRACT(epoch FROM CAST("t3"."last_order_date" AS TIMESTAMP) - CAST("t3"."first_order_date" AS TIMESTAMP)) / 86400 AS BIGINT) AS "recency_days",
  CAST(EXTRACT(epoch FROM CAST(MAKE_DATE(2026, 11, 21) AS TIMESTAMP) - CAST("t3"."first_order_date" AS TIMESTAMP)) / 86400 AS BIGINT) AS "age_days",
  CASE
    WHEN (
      "t3"."purchase_days" - 1
    ) > 0
    THEN CAST("t3"."bought" - "t3"."first_net_amount" AS DOUBLE PRECISION) / (
      "t3"."purchase_days" - 1
    )
    ELSE 0.0
  END AS "monetary_value",
  "t3"."first_order_date",
  "t3"."last_order_date",
  "t3"."orders",
  CAST("t3"."revenue" AS DOUBLE PRECISION) AS "revenue",
  CAST("t3"."first_net_amount" AS DOUBLE PRECISION) AS "first_amount",
  CAST("t3"."first_discount_amount" AS DOUBLE PRECISION) / NULLIF(CAST("t3"."first_gross_amount" AS DOUBLE PRECISION), 0) AS "first_discount_share"
FROM (
  SELECT
    "t2"."customer_id",
    COUNT(*) FILTER(WHERE
      (
        "t2"."net_amount" > 0
      )
      OR (
        (
          "t2"."net_amount" = 0
        ) AND (
          "t2"."refunds" = 0
        )
      )) AS "purchase_days",
    SUM("t2"."orders") FILTER(WHERE
      (
        "t2"."net_amount" > 0
      )
      OR (
        (
          "t2"."net_amount" = 0
        ) AND (
          "t2"."refunds" = 0
        )
      )) AS "orders",
    SUM("t2"."net_amount") FILTER(WHERE
      (
        "t2"."net_amount" > 0
      )
      OR (
        (
          "t2"."net_amount" = 0
        ) AND (
          "t2"."refunds" = 0
        )
      )) AS "bought",
    SUM("t2"."net_amount") AS "revenue",
    MIN("t2"."order_date") FILTER(WHERE
      (
        "t2"."net_amount" > 0
      )
      OR (
        (
          "t2"."net_amount" = 0
        ) AND (
          "t2"."refunds" = 0
        )
      )) AS "first_order_date",
    MAX("t2"."order_date") FILTER(WHERE
      (
        "t2"."net_amount" > 0
      )
      OR (
        (
          "t2"."net_amount" = 0
        ) AND (
          "t2"."refunds" = 0
        )
      )) AS "last_order_date",
    (
      ARRAY_AGG("t2"."net_amount" ORDER BY "t2"."order_date" ASC) FILTER(WHERE
        "t2"."order_date" IS NOT NULL
        AND (
          "t2"."net_amount" > 0
        )
        OR (
          (
            "t2"."net_amount" = 0
          ) AND (
            "t2"."refunds" = 0
          )
        ))
    )[1] AS "first_net_amount",
    (
      ARRAY_AGG("t2"."gross_amount" ORDER BY "t2"."order_date" ASC) FILTER(WHERE
        "t2"."order_date" IS NOT NULL
        AND (
          "t2"."net_amount" > 0
        )
        OR (
          (
            "t2"."net_amount" = 0
          ) AND (
            "t2"."refunds" = 0
          )
        ))
    )[1] AS "first_gross_amount",
    (
      ARRAY_AGG("t2"."discount_amount" ORDER BY "t2"."order_date" ASC) FILTER(WHERE
        "t2"."order_date" IS NOT NULL
        AND (
          "t2"."net_amount" > 0
        )
        OR (
          (
            "t2"."net_amount" = 0
          ) AND (
            "t2"."refunds" = 0
          )
        ))
    )[1] AS "first_discount_amount"
  FROM (
    SELECT
      "t1"."customer_id",
      "t1"."order_date",
      COUNT(*) FILTER(WHERE
        NOT (
          "t1"."net_amount" < 0
        )) AS "orders",
      COUNT(*) FILTER(WHERE
        "t1"."net_amount" < 0) AS "refunds",
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
  ) AS "t2"
  GROUP BY
    1
) AS "t3"
WHERE
  "t3"."purchase_days" > 0
