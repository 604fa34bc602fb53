"""One module per platform: how its rows become orders."""
