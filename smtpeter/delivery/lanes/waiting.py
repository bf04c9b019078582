"""What waits in a lane, in the order in which it goes: transactional streams first, accounts in turn.

A flow is the mail of one account at one priority. Among the flows of a priority each gives one message in turn, so that
the many of one account do not stand before the single one of another. One in eight comes from the streams behind.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator

from smtpeter.model.message import Message
from smtpeter.store.claim import Flow

_ONE_IN = 8


class Waiting:
    """A queue of claimed messages, fair among flows."""

    def __init__(self) -> None:
        self._flows: dict[int, OrderedDict[int, deque[Message]]] = {}
        self._count = 0
        self._popped = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Message]:
        for flows in self._flows.values():
            for queue in flows.values():
                yield from queue

    @property
    def flows(self) -> frozenset[Flow]:
        """The flows that have something here."""
        return frozenset((priority, account) for priority, flows in self._flows.items() for account in flows)

    def put(self, message: Message) -> None:
        """Adds a message behind those of its flow."""
        flows = self._flows.setdefault(message.options.priority, OrderedDict())
        queue = flows.get(message.account)
        if queue is None:
            queue = flows[message.account] = deque()
        queue.append(message)
        self._count += 1

    def pop(self) -> Message:
        """Takes out the next message. Raises IndexError when there is none."""
        if not self._count:
            raise IndexError("nothing waits")
        self._count -= 1
        self._popped += 1
        priority = max(self._flows) if self._popped % _ONE_IN == 0 else min(self._flows)
        flows = self._flows[priority]
        account, queue = next(iter(flows.items()))
        message = queue.popleft()
        if queue:
            flows.move_to_end(account)
        else:
            del flows[account]
            if not flows:
                del self._flows[priority]
        return message

    def take_out(self, wanted: Callable[[Message], bool]) -> list[Message]:
        """Takes out all messages that are wanted, wherever they stand."""
        found: list[Message] = []
        kept: list[Message] = []
        for message in self:
            (found if wanted(message) else kept).append(message)
        self._flows.clear()
        self._count = 0
        for message in kept:
            self.put(message)
        return found
