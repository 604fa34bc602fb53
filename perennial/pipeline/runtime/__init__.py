"""What every step needs: how it runs, where its files are, who is notified."""
