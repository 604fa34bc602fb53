"""Texts without control characters: none leaves for Klaviyo."""

import re

# Control characters: C0, C1, separators of lines and paragraphs, marks that turn the direction, the byte-order mark.
CONTROL = r"[\x00-\x1f\x7f-\x9f" + "\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]"


def printable(text: str) -> str:
    """Return a text with a space in place of control characters, and none at its ends."""
    return re.sub(rf"\s*{CONTROL}+\s*", " ", text).strip() if re.search(CONTROL, text) else text
