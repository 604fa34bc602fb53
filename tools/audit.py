"""Known vulnerabilities of the locked packages, by PyPI's advisories. ``make audit`` asks for them.

It ends well only where every package was looked up and none is known to be vulnerable. Where the
advisories cannot be reached, nothing was audited, and it says so.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
CLEAN, VULNERABLE, UNKNOWN = 0, 1, 30


def judged(code: int, output: str) -> tuple[int, str]:
    """Return an exit code and a sentence for what pip-audit ended with and said."""
    if code == 0:
        return CLEAN, "no locked package is known to be vulnerable"
    if match := re.search(r"Found \d+ known vulnerabilit\w+.*", output):
        return VULNERABLE, f"{match[0]}: raise their versions with `make lock`"
    last = output.strip().splitlines()[-1:] or ["no answer"]
    return UNKNOWN, (
        f"nothing was audited, the advisories could not be asked for every package ({last[0]}). "
        "Run it where they answer"
    )


def main() -> None:
    """Ask, and tell."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pip_audit", "--strict", "--disable-pip", "--require-hashes",
            "--progress-spinner", "off", "--requirement", str(LOCK),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    code, sentence = judged(done.returncode, done.stdout)
    if code != CLEAN:
        print(done.stdout, end="")
    print(f"make audit: {sentence}")
    sys.exit(code)


if __name__ == "__main__":
    main()
