SELECT
  `t3`.`customer_id`,
  MAKE_DATE(2026, 11, 21) AS `as_of`,
  `t3`.`purchase_days` - 1 AS `frequency`,
  DATEDIFF(DAY, `t3`.`first_order_date`, `t3`.`last_order_date`) AS `recency_days`,
  DATEDIFF(DAY, `t3`.`first_order_date`, MAKE_DATE(2026, 11, 21)) AS `age_days`,
  IF(
    (
      `t3`.`purchase_days` - 1
    ) > 0,
    CAST(`t3`.`bought` - `t3`.`first_net_amount` AS DOUBLE) / (
      `t3`.`purchase_days` - 1
    ),
    0.0
  ) AS `monetary_value`,
  `t3`.`first_order_date`,
  `t3`.`last_order_date`,
  `t3`.`orders`,
  CAST(`t3`.`revenue` AS DOUBLE) AS `revenue`,
  CAST(`t3`.`first_net_amount` AS DOUBLE) AS `first_amount`,
  CAST(`t3`.`first_discount_amount` AS DOUBLE) / NULLIF(CAST(`t3`.`first_gross_amount` AS DOUBLE), 0) AS `first_discount_share`
FROM (
  SELECT
    `t2`.`customer_id`,
    SUM(
      CAST((
        `t2`.`net_amount` > 0
      )
      OR (
        (
          `t2`.`net_amount` = 0
        ) AND (
          `t2`.`refunds` = 0
        )
      ) AS BIGINT)
    ) AS `purchase_days`,
    SUM(
      IF(
        (
          `t2`.`net_amount` > 0
        )
        OR (
          (
            `t2`.`net_amount` = 0
          ) AND (
            `t2`.`refunds` = 0
          )
        ),
        `t2`.`orders`,
        NULL
      )
    ) AS `orders`,
    SUM(
      IF(
        (
          `t2`.`net_amount` > 0
        )
        OR (
          (
            `t2`.`net_amount` = 0
          ) AND (
            `t2`.`refunds` = 0
          )
        ),
        `t2`.`net_amount`,
        NULL
      )
    ) AS `bought`,
    SUM(`t2`.`net_amount`) AS `revenue`,
    MIN(
      IF(
        (
          `t2`.`net_amount` > 0
        )
        OR (
          (
            `t2`.`net_amount` = 0
          ) AND (
            `t2`.`refunds` = 0
          )
        ),
        `t2`.`order_date`,
        NULL
      )
    ) AS `first_order_date`,
    MAX(
      IF(
        (
          `t2`.`net_amount` > 0
        )
        OR (
          (
            `t2`.`net_amount` = 0
          ) AND (
            `t2`.`refunds` = 0
          )
        ),
        `t2`.`order_date`,
        NULL
      )
    ) AS `last_order_date`,
    MIN_BY(
      IF(
        (
          `t2`.`net_amount` > 0
        )
        OR (
          (
            `t2`.`net_amount` = 0
          ) AND (
            `t2`.`refunds` = 0
          )
        ),
        `t2`.`net_amount`,
        NULL
      ),
      IF(
        (
          `t2`.`net_amount` > 0
        )
        OR (
          (
            `t2`.`net_amount` = 0
          ) AND (
            `t2`.`refunds` = 0
          )
        ),
        `t2`.`order_date`,
        NULL
      )
    ) AS `first_net_amount`,
    MIN_BY(
      IF(
        (
          `t2`.`net_amount` > 0
        )
        OR (
          (
            `t2`.`net_amount` = 0
          ) AND (
            `t2`.`refunds` = 0
          )
        ),
        `t2`.`gross_amount`,
        NULL
      ),
      IF(
        (
          `t2`.`net_amount` > 0
        )
        OR (
          (
            `t2`.`net_amount` = 0
          ) AND (
            `t2`.`refunds` = 0
          )
        ),
        `t2`.`order_date`,
        NULL
      )
    ) AS `first_gross_amount`,
    MIN_BY(
      IF(
        (
          `t2`.`net_amount` > 0
        )
        OR (
          (
            `t2`.`net_amount` = 0
          ) AND (
            `t2`.`refunds` = 0
          )
        ),
        `t2`.`discount_amount`,
        NULL
      ),
      IF(
        (
          `t2`.`net_amount` > 0
        )
        OR (
          (
            `t2`.`net_amount` = 0
          ) AND (
            `t2`.`refunds` = 0
          )
        ),
        `t2`.`order_date`,
        NULL
      )
    ) AS `first_discount_amount`
  FROM (
    SELECT
      `t1`.`customer_id`,
      `t1`.`order_date`,
      SUM(CAST(NOT (
        `t1`.`net_amount` < 0
      ) AS BIGINT)) AS `orders`,
      SUM(CAST(`t1`.`net_amount` < 0 AS BIGINT)) AS `refunds`,
      SUM(CAST(`t1`.`net_amount` AS DECIMAL(18, 4))) AS `net_amount`,
      SUM(CAST(`t1`.`gross_amount` AS DECIMAL(18, 4))) AS `gross_amount`,
      SUM(CAST(`t1`.`discount_amount` AS DECIMAL(18, 4))) AS `discount_amount`
    FROM (
      SELECT
        *
      FROM `orders` AS `t0`
      WHERE
        `t0`.`order_date` <= MAKE_DATE(2026, 11, 21)
    ) AS `t1`
    GROUP BY
      1,
      2
  ) AS `t2`
  GROUP BY
    1
) AS `t3`
WHERE
  `t3`.`purchase_days` > 0
