SELECT
  `t3`.`customer_id`,
  COALESCE(`t7`.`later_orders`, 0) AS `later_orders`,
  COALESCE(`t7`.`later_value`, 0.0) AS `later_value`
FROM (
  SELECT
    `t0`.`customer_id`
  FROM `customer_state` AS `t0`
) AS `t3`
LEFT OUTER JOIN (
  SELECT
    `t5`.`customer_id`,
    SUM(
      CAST((
        `t5`.`net_amount` > 0
      )
      OR (
        (
          `t5`.`net_amount` = 0
        ) AND (
          `t5`.`refunds` = 0
        )
      ) AS INT)
    ) AS `later_orders`,
    CAST(SUM(`t5`.`net_amount`) AS DOUBLE) AS `later_value`
  FROM (
    SELECT
      `t4`.`customer_id`,
      `t4`.`order_date`,
      SUM(CAST(NOT (
        `t4`.`net_amount` < 0
      ) AS BIGINT)) AS `orders`,
      SUM(CAST(`t4`.`net_amount` < 0 AS BIGINT)) AS `refunds`,
      SUM(CAST(`t4`.`net_amount` AS DECIMAL(18, 4))) AS `net_amount`,
      SUM(CAST(`t4`.`gross_amount` AS DECIMAL(18, 4))) AS `gross_amount`,
      SUM(CAST(`t4`.`discount_amount` AS DECIMAL(18, 4))) AS `discount_amount`
    FROM (
      SELECT
        *
      FROM `orders` AS `t1`
      WHERE
        `t1`.`order_date` >= MAKE_DATE(2026, 11, 22)
        AND `t1`.`order_date` < MAKE_DATE(2027, 11, 22)
    ) AS `t4`
    GROUP BY
      1,
      2
  ) AS `t5`
  GROUP BY
    1
) AS `t7`
  ON `t3`.`customer_id` = `t7`.`customer_id`
