"""What tests of Spark need: Java, and a session that starts soon."""

import os
import shutil
from pathlib import Path

from tests.requirements import require

COMMAND = "apt-get install openjdk-17-jre-headless"
URL = "local[2]"
CONF = Path(__file__).with_name("spark_conf")


def require_spark() -> None:
    """Skip the test where there is no Java; let Spark start with the tests' settings."""
    require(shutil.which("java"), "Java 17", COMMAND)
    os.environ["SPARK_CONF_DIR"] = str(CONF)
