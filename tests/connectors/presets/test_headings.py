"""Columns in messages: headings are listed, a row of data never is."""

import pytest

from connectors.engine import open_engine
from connectors.optional import read_optional
from connectors.order_source import OrderSource
from connectors.orders import look_at_source
from connectors.presets import PRESETS
from connectors.presets.headings import close_heading, is_data, shown_headings
