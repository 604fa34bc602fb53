"""Klaviyo as a source of orders and engagement: its events, read with a read-only key of their own."""
