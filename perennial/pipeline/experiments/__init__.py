"""What an investment brought, by the control group."""
