"""What flows are made of: reading, training, scoring, publishing, monitoring, activation."""
