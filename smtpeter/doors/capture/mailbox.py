"""What the sink received, kept in a folder: the newest `max_captured` messages, each a pair of files.

`N.eml` holds the octets as they arrived, `N.json` what the page lists. The sink is a tool for looking at mail, not a
store: it does not flush.
"""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from smtpeter.wire.encoded_words import decode_value
from smtpeter.wire.headers import find, read_fields, split


class Captured(msgspec.Struct, frozen=True):
    """One captured message, without its content. `received` is "YYYY-MM-DD HH:MM:SS" UTC."""

    number: int
    received: str
    sender: str
    recipients: list[str]
    subject: str
    shown_from: str
    octets: int


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A folder of captured messages."""

    folder: Path
    max_captured: int

    def add(self, received: str, sender: str, recipients: list[str], content: bytes) -> int:
        """Keeps a message and gives its number; the oldest goes when there are too many."""
        self.folder.mkdir(parents=True, exist_ok=True)
        numbers = self._numbers()
        number = self._claim(numbers[-1] + 1 if numbers else 1, content)
        fields = read_fields(split(content)[0])
        captured = Captured(
            number,
            received,
            sender,
            recipients,
            decode_value(find(fields, b"subject") or b""),
            decode_value(find(fields, b"from") or b""),
            len(content),
        )
        self._path(number, "json").write_bytes(msgspec.json.encode(captured))
        for old in numbers[: max(0, len(numbers) + 1 - self.max_captured)]:
            self._path(old, "json").unlink(missing_ok=True)
            self._path(old, "eml").unlink(missing_ok=True)
        return number

    def _claim(self, number: int, content: bytes) -> int:
        """Writes the octets under the first number from `number` on that no other process has taken."""
        while True:
            try:
                with self._path(number, "eml").open("xb") as file:
                    file.write(content)
            except FileExistsError:
                number += 1
            else:
                return number

    def newest(self, count: int) -> list[Captured]:
        """Gives the newest messages, newest first."""
        found = [self.find(number) for number in reversed(self._numbers()[-count:])]
        return [captured for captured in found if captured is not None]

    def find(self, number: int) -> Captured | None:
        """Gives one message, None when it is not (or no longer) there."""
        try:
            return msgspec.json.decode(self._path(number, "json").read_bytes(), type=Captured)
        except FileNotFoundError:
            return None

    def content(self, number: int) -> bytes | None:
        """Gives the octets of one message."""
        try:
            return self._path(number, "eml").read_bytes()
        except FileNotFoundError:
            return None

    def clear(self) -> None:
        """Throws everything away."""
        for number in self._numbers():
            self._path(number, "json").unlink(missing_ok=True)
            self._path(number, "eml").unlink(missing_ok=True)

    def _numbers(self) -> list[int]:
        return sorted(int(path.stem) for path in self.folder.glob("*.json") if path.stem.isdigit())

    def _path(self, number: int, suffix: str) -> Path:
        return self.folder / f"{number}.{suffix}"
