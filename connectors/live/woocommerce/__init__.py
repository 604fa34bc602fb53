"""Orders from WooCommerce's REST API v3: pulled by when they changed, refunds by their own days."""
