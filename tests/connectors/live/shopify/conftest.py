"""Stores behind their doubles."""

import os

import pytest

from tests.connectors.live.shopify.shop import Shop, make_store


@pytest.fixture(autouse=True)
def fast_disk(monkeypatch):
    """Do not wait for the disk: no test here cuts the power."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def open_shop(tmp_path):
    """Open stores, until the test ends; `store` are settings of the store, the rest is the double's."""
    shops = []

    def start(orders=12, store=None, **more):
        folder = tmp_path / f"shop{len(shops)}"
        folder.mkdir()
        shops.append(Shop(folder, make_store(orders, **(store or {})), **more))
        return shops[-1]

    yield start
    for shop in shops:
        shop.close()
