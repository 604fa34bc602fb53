"""Scores to Klaviyo: plan, apply, verify. Consent is read in segments, and never written."""
