"""From the order history to what is known of each customer."""
