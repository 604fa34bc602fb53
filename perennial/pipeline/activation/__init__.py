"""From a published day to Klaviyo, and the erasure of a person."""
