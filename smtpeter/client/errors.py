"""What can go wrong between an application and the gateway, one class for each thing that a caller does about it."""

from datetime import timedelta

NO_HTTP = "What answers there does not speak HTTP; check the address and the port."


class ClientError(Exception):
    """The base of all of them; `str()` is a sentence."""


class Unreachable(ClientError):
    """No answer came. `is_uncertain`: the request may have been carried out all the same."""

    def __init__(self, reason: str, *, is_uncertain: bool, is_timeout: bool = False) -> None:
        self.is_uncertain = is_uncertain
        self.is_timeout = is_timeout
        super().__init__(reason)


class BadAnswer(ClientError):
    """What answered does not speak as a gateway does; look at the address, or at a proxy between."""


class Refusal(ClientError):
    """The gateway said no. `code` is for programs, `message` for people, `field` names the property at fault."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str = "",
        request_id: str = "",
        retry_after: timedelta | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.request_id = request_id
        self.retry_after = retry_after
        super().__init__(message)

    def __str__(self) -> str:
        return f"{self.message} ({self.code}{f', {self.field}' if self.field else ''})"


class InvalidInput(Refusal):
    """400, 413, 415: something in the request has to be mended."""


class Unauthorized(Refusal):
    """401: the token is missing or not known."""


class Forbidden(Refusal):
    """403: the token, the account or its sender domains do not allow this."""


class NotFound(Refusal):
    """404, 410: there is no such thing in this account."""


class Conflict(Refusal):
    """409: the thing is in another state, or the Idempotency-Key was used for something else."""


class TooManyRequests(Refusal):
    """429: slower; `retry_after` says how long to wait."""


class Unavailable(Refusal):
    """5xx: trouble on the other side; later it may work."""


_BY_STATUS: dict[int, type[Refusal]] = {
    400: InvalidInput,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: NotFound,
    413: InvalidInput,
    415: InvalidInput,
    422: InvalidInput,
    429: TooManyRequests,
}


def refusal_class(status: int) -> type[Refusal]:
    """Gives the class for a status."""
    return Unavailable if status >= 500 else _BY_STATUS.get(status, Refusal)
