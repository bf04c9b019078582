"""The login exchange of a server session: from the AUTH command over its challenges to the decision.

RFC 4954. What the mechanisms themselves say is in `sasl`; who is let in is decided by whoever answers
`CredentialsGiven`. Each failed login counts as a mistake, and so many of them end the session. Raises nothing.
"""

from collections.abc import Callable

from smtpeter.model.reply import Reply, reply
from smtpeter.wire import sasl
from smtpeter.wire import smtp_replies as replies
from smtpeter.wire.smtp_facts import CredentialsGiven
from smtpeter.wire.smtp_talk import Login, State, Talk


def begin_login(talk: Talk, argument: str) -> None:
    """AUTH: begins an exchange, with the initial response when the command has one."""
    policy = talk.policy
    name, _, initial = argument.partition(" ")
    mechanism = sasl.MECHANISMS.get(name.upper())
    if not policy.allows_auth:
        talk.refuse(replies.NOT_OFFERED)
    elif not (talk.is_tls or policy.allows_plain_auth):
        talk.refuse(replies.TLS_FOR_LOGIN)
    elif talk.is_authenticated:
        talk.refuse(replies.LOGIN_ALREADY)  # RFC 4954 4: once per session
    elif mechanism is None:
        talk.refuse(replies.UNKNOWN_MECHANISM)
    else:
        talk.login = login = Login(name.upper(), mechanism())
        _take_step(talk, login, lambda: login.exchange.begin(initial or None))


def go_on_with_login(talk: Talk, text: str) -> None:
    """Takes the client's answer to a challenge."""
    login = talk.login
    assert login is not None
    _take_step(talk, login, lambda: login.exchange.step(text))


def end_login(talk: Talk, answer: Reply) -> None:
    """Takes the decision about the credentials. A transient no is nobody's mistake."""
    if answer.is_permanent:
        _fail(talk, answer.encode())
        return
    if answer.is_positive:
        talk.is_authenticated = True
    talk.say(answer.encode())


def _take_step(talk: Talk, login: Login, step: Callable[[], sasl.Step]) -> None:
    try:
        taken = step()
    except sasl.Cancelled:
        talk.refuse(replies.LOGIN_CANCELLED)
    except sasl.ForeignIdentity:
        _fail(talk, replies.BAD_LOGIN)
    except sasl.SaslError as trouble:
        talk.refuse(reply(501, "5.5.2", str(trouble)).encode())
    else:
        match taken:
            case sasl.Challenge(text):
                talk.state = State.LOGIN
                talk.say(replies.challenge(text))
            case sasl.Credentials(user, password):
                talk.ask(CredentialsGiven(login.mechanism, user, password))


def _fail(talk: Talk, refusal: bytes) -> None:
    talk.failed_logins += 1
    if talk.failed_logins < talk.policy.max_failed_logins:
        talk.refuse(refusal)
    else:
        talk.say(refusal)
        talk.finish(replies.TOO_MANY_LOGINS)
