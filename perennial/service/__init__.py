"""``perennial up``: Prefect's server and worker, kept running."""
