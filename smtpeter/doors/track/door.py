"""The tracking door: a part of the HTTP listeners that takes the requests whose token we made (B5, W4).

The token says what is asked for, whatever the host: a link, a picture of the mail, the pixel, a page, a hosted image.
Where a link leads is put together from the request itself; the token's hash vouches for it. Whatever is wrong with a
token, nothing is told of it: the request is no longer ours, and goes on to the other doors, or to the page that says that
there is nothing, when the host is for tracking alone.

There are no limits for each address: behind one of them may be a whole company, and a request that is not ours costs
about as much as the refusal would. What is costly is bounded where it is done (origins, images, webversion, hits).
"""

from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import Receive, Scope, Send

from smtpeter.config import Network
from smtpeter.content.rewrite.address import MAX_ADDRESS, comparable, detach, host_of
from smtpeter.content.rewrite.ours import IMAGE_FOLDER, image_token
from smtpeter.doors.track.answers import NO_STORE, Answer, send_answer
from smtpeter.doors.track.contents import Contents
from smtpeter.doors.track.hits import Recorder
from smtpeter.doors.track.hosted import Hosted
from smtpeter.doors.track.images import Images, Named
from smtpeter.doors.track.location import location, readings
from smtpeter.doors.track.origins import Origins
from smtpeter.doors.track.pages import MISSING, NOT_SO, TROUBLE
from smtpeter.doors.track.pictures import PIXEL, picture_fields
from smtpeter.doors.track.unsubscribe import Unsubscribing
from smtpeter.doors.track.visitor import Visitor, visitor_of
from smtpeter.doors.track.webversion import Renderer, WebVersions
from smtpeter.model.account import AccountId
from smtpeter.model.event import Click, Open
from smtpeter.store.hits import Hit
from smtpeter.store.operation import StoreUnavailable
from smtpeter.store.store import Store
from smtpeter.wire.token import BadToken, Keyring, Kind, Reference, read, read_hosted
from smtpeter.world.log import log
from smtpeter.world.seams import Clock, Fetcher

_READS = ("GET", "HEAD")
_PIXEL = Answer(200, (*picture_fields("image/gif"), NO_STORE), PIXEL)
_MAX_REST = MAX_ADDRESS + 16 * 2**10  # an address grows when it is percent-encoded; more is no link of ours
_CLOCKS_APART = timedelta(days=1)
_CLICK_POLICY = (b"referrer-policy", b"no-referrer-when-downgrade")


@dataclass(frozen=True, slots=True)
class TrackRooms:
    """All that the door needs. `base` is scheme and host of the addresses that are made now, "" when none are.

    `hostname` is the host of the other doors; `client` fetches pictures.
    """

    store: Store
    clock: Clock
    keyring: Keyring = field(repr=False)
    renderer: Renderer
    client: Fetcher
    base: str = ""
    hostname: str = ""
    trusted_proxies: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A request that is ours: its token, the address without it, and whose it is; `origin` "" for pages of ours."""

    reference: Reference
    account: AccountId
    rest: str
    url: str
    origin: str = ""


class Track:
    """The door. `answers` takes a request that is ours; `close` ends what is under way."""

    def __init__(self, rooms: TrackRooms) -> None:
        store, clock = rooms.store, rooms.clock
        self._clock = clock
        self._keyring = rooms.keyring
        self._proxies = rooms.trusted_proxies
        self._base = rooms.base
        self._own_host = _own_host(rooms.base, rooms.hostname)
        self._origins = Origins(store, clock)
        self._recorder = Recorder(store, clock)
        contents = Contents(store, clock)
        self._images = Images(store, clock, rooms.client, contents)
        self._hosted = Hosted(store, clock, contents)
        self._webversions = WebVersions(store, clock, rooms.renderer)
        self._unsubscribing = Unsubscribing(store, clock)

    async def answers(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Answers a request whose token we made; False: it is for another door, and nothing was sent."""
        query: bytes = scope["query_string"]
        path: str = scope["path"]
        if b"p=" not in query and not path.startswith(IMAGE_FOLDER):
            return False
        try:
            claimed = await self._claim(scope, query) if b"p=" in query else None
            if claimed is not None:
                answer = await self._answer(claimed, scope, receive)
            elif path.startswith(IMAGE_FOLDER):
                answer = await self._hosted_image(scope, path)
            else:
                return False
        except BadToken:
            return False
        except StoreUnavailable as trouble:
            log("track.store_unavailable", reason=str(trouble))
            answer = TROUBLE
        await send_answer(scope, send, answer)
        return True

    def owns(self, scope: Scope) -> bool:
        """True when the request is to a host that no other door has."""
        if not self._own_host:
            return False
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        return host_of(host.decode("latin-1")) == self._own_host

    async def misses(self, scope: Scope, send: Send) -> None:
        """Answers that there is nothing."""
        await send_answer(scope, send, MISSING)

    async def close(self) -> None:
        """Lets events reach the store, and ends the rest."""
        await self._recorder.close()
        await self._images.close()
        await self._webversions.close()

    # ---- whose request it is

    async def _claim(self, scope: Scope, query: bytes) -> _Claimed | None:
        """Gives a request with a token in its query; None when there is none. Raises BadToken, StoreUnavailable."""
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        target = f"{raw.decode('latin-1')}?{query.decode('latin-1')}"
        found = detach(target) if len(target) <= _MAX_REST else None
        if found is None:
            return None
        rest, token = found
        reference = read(token)
        now = self._clock.now()
        if reference.accepted > now + _CLOCKS_APART:  # most tokens that are made up end here, without a look-up
            raise BadToken("The message is still to come.")
        url = f"{self._base or _site(scope)}{target[: len(rest) + 3 + len(token)]}"
        match reference.kind:
            case Kind.CLICK | Kind.IMAGE:
                # the account is part of the hash, and only the origin's row names it
                origin = await self._origins.of(reference.number)
                if origin is None:
                    raise BadToken("The token names a host that is not known.")
                self._vouch(reference, origin.account, origin.origin, rest)
                return _Claimed(reference, origin.account, rest, url, origin.origin)
            case Kind.OPEN | Kind.WEBVERSION | Kind.UNSUBSCRIBE:
                account = AccountId(reference.number)
                self._keyring.check(reference, account, now)
                return _Claimed(reference, account, rest, url)
            case Kind.BOUNCE | Kind.HOSTED:
                raise BadToken("This token is for no link.")

    def _vouch(self, reference: Reference, account: AccountId, origin: str, rest: str) -> None:
        """Raises BadToken unless the token was made for this address, in whatever spelling."""
        now = self._clock.now()
        try:
            self._keyring.check(reference, account, now, comparable(origin, rest))
            return
        except BadToken:
            for reading in readings(rest):
                try:
                    self._keyring.check(reference, account, now, comparable(origin, reading))
                    return
                except BadToken:
                    continue
            raise

    # ---- what it gets

    async def _answer(self, claimed: _Claimed, scope: Scope, receive: Receive) -> Answer:
        kind, method = claimed.reference.kind, scope["method"]
        if kind is Kind.UNSUBSCRIBE and method == "POST":
            content_type = dict(scope["headers"]).get(b"content-type", b"")
            visitor = visitor_of(scope, self._proxies)
            act = self._unsubscribing.act
            return await act(claimed.account, claimed.reference.message, visitor, content_type, receive)
        if method not in _READS:
            return NOT_SO
        match kind:
            case Kind.CLICK:
                return await self._click(claimed, scope)
            case Kind.IMAGE:
                return await self._image(claimed, scope)
            case Kind.OPEN:
                await self._opened(claimed, scope)
                return _PIXEL
            case Kind.WEBVERSION:
                return await self._webversions.answer(claimed.account, claimed.reference.message)
            case _:
                return await self._unsubscribing.ask(claimed.account, claimed.reference.message)

    async def _click(self, claimed: _Claimed, scope: Scope) -> Answer:
        target = location(claimed.origin, claimed.rest)
        visitor = visitor_of(scope, self._proxies)
        click = Click(
            headers=visitor.headers,
            ip=visitor.ip,
            protocol=visitor.protocol,
            url=claimed.url,
            destination=target,
            useragent=visitor.useragent,
            referer=visitor.referer,
            machine=visitor.machine,
        )
        await self._recorder.record(Hit(claimed.account, claimed.reference.message, self._clock.now(), click))
        return _redirect(target)

    async def _image(self, claimed: _Claimed, scope: Scope) -> Answer:
        target = location(claimed.origin, claimed.rest)
        await self._opened(claimed, scope)
        named = Named(claimed.account, comparable(claimed.origin, claimed.rest))
        picture = await self._images.get(named, target)
        if picture is None:
            return _redirect(target)
        return Answer(200, (*picture_fields(picture.type), NO_STORE), picture.content)

    async def _opened(self, claimed: _Claimed, scope: Scope) -> None:
        visitor = visitor_of(scope, self._proxies)
        opened = _open_of(visitor)
        await self._recorder.record(Hit(claimed.account, claimed.reference.message, self._clock.now(), opened))

    async def _hosted_image(self, scope: Scope, path: str) -> Answer:
        token = image_token(path)
        if token is None:
            raise BadToken("There is no token in this path.")
        reference = read_hosted(token)
        self._keyring.check_hosted(reference, self._clock.now())
        if scope["method"] not in _READS:
            return NOT_SO
        return await self._hosted.answer(reference, path, dict(scope["headers"]).get(b"if-none-match", b""))


def build_track(rooms: TrackRooms) -> Track:
    """Makes the door, within the event loop that will run it."""
    return Track(rooms)


def _redirect(target: str) -> Answer:
    return Answer(302, ((b"location", target.encode("ascii")), _CLICK_POLICY, NO_STORE))


def _open_of(visitor: Visitor) -> Open:
    return Open(
        headers=visitor.headers,
        ip=visitor.ip,
        protocol=visitor.protocol,
        useragent=visitor.useragent,
        referer=visitor.referer,
        machine=visitor.machine,
    )


def _site(scope: Scope) -> str:
    """Gives scheme and host of a request, for an event only (W8)."""
    host = next((value for name, value in scope["headers"] if name == b"host"), b"")
    return f"{scope['scheme']}://{host[:255].decode('latin-1')}"


def _own_host(base: str, hostname: str) -> str:
    """Gives the host of tracked addresses when it is for them alone, else ""."""
    host = host_of(urlsplit(base).netloc) if base else ""
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return "" if host in (hostname.lower(), "localhost") else host
    return ""  # the listener's own address, at which all doors are
