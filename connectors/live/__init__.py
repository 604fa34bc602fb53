"""Orders from a platform's API: pulled into raw files, newest version per object, then read as an export."""
