"""What a store sets in ``perennial.toml``."""
