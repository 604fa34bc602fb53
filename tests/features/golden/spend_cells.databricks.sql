SELECT
  *
FROM (
  SELECT
    `t1`.`frequency`,
    `t1`.`monetary_value`,
    COUNT(*) AS `customers`
  FROM (
    SELECT
      *
    FROM `customer_state` AS `t0`
    WHERE
      `t0`.`frequency` > 0 AND `t0`.`monetary_value` > 0
  ) AS `t1`
  GROUP BY
    1,
    2
) AS `t2`
ORDER BY
  `t2`.`frequency` ASC NULLS LAST,
  `t2`.`monetary_value` ASC NULLS LAST
