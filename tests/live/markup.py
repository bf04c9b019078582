"""Two judges of HTML: Debian's tidy, and a parser that follows the standard of browsers and tells what it had to mend."""

import re
import subprocess

import turbohtml

from tests.live.programs import program

# what tidy says of mail that has to be as it is
NEEDED = {
    '<table> lacks "summary" attribute',  # gone in HTML 5; tables of a layout have nothing to sum up (role="presentation")
    '<table> proprietary attribute "height"',  # of the page, by which Outlook.com and old Outlook fill the window
    '<iframe> proprietary attribute "allow"',  # of players in web versions: HTML 5, younger than tidy
}
_LINE = re.compile(r"line \d+ column \d+ - (Error|Warning): (.*)")


def blamed(html: str) -> set[str]:
    """Gives what speaks against a page, but for what mail needs; without tidy the test is skipped by name."""
    errors = {f"line {error.line}: {error.code}" for error in turbohtml.parse(html).errors}
    options = ["-quiet", "-errors", "-utf8", "--show-warnings", "yes", "--show-errors", "100000"]
    done = subprocess.run(
        [program("tidy"), *options], input=html, capture_output=True, encoding="utf-8", timeout=60, check=False
    )
    assert done.returncode in {0, 1, 2}, done.stderr  # all is well, warnings, errors
    said = [_LINE.fullmatch(line) or line for line in done.stderr.splitlines()]
    found = {one if isinstance(one, str) else one[2] for one in said}
    assert bool(found) == (done.returncode != 0), done.stderr
    return errors | (found - NEEDED)
