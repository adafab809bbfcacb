"""The site of another builder beside ours:  python -m cohort_cli.site.second OTHER_SITE OUR_SITE

Writes the policy into the other's pages as into ours, and compares which pages there are. A builder may leave out a page
without a word, so a page that is missing is a failure.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cohort_cli.errors import CohortError
from cohort_cli.site import deck, policy


def compare(other: Path, ours: Path) -> tuple[int, list[str]]:
    """How many pages the other builder made, and which of ours it did not. Raises BrokenManifest (see policy.py)."""
    count = policy.protect(other, alone=(policy.alone(deck.SCRIPT),))
    made, wanted = (
        {path.relative_to(site).as_posix() for path in site.rglob("*.html")} for site in (other, ours)
    )
    return count, sorted(wanted - made)


def main(other: Path, ours: Path) -> int:
    try:
        count, missing = compare(other, ours)
    except CohortError as trouble:
        print(trouble.message, file=sys.stderr)
        return trouble.exit_code
    for page in missing:
        print(f"missing: {page}", file=sys.stderr)
    print(f"{count} pages with their policy; {len(missing)} of ours are missing")
    return 1 if missing or not count else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
