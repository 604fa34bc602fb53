"""Tables -> the page that people read."""
