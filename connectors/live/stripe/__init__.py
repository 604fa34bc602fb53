"""Payments from Stripe's API: charges, refunds and disputes, by when they were made."""
