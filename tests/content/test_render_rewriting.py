"""What features change in a mail, and that they change nothing else."""

import re
from html import unescape
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.content.render import compose, content_of, render, source_of, webversion_of
from smtpeter.content.rewrite.address import original
from smtpeter.content.views import attachments_of, embeds_of, html_of
from smtpeter.model.account import Features
from smtpeter.model.message import Message, Source, Transfer
from smtpeter.model.parts import Attachment, Unsubscribe
from smtpeter.wire.headers import read_fields, split
from smtpeter.wire.mime import walk
from smtpeter.wire.token import Kind
from smtpeter.wire.token import read as read_token
from tests.content.rendering import (
    BASE,
    EVERYTHING,
    HEAD,
    NOW,
    NUMBERS,
    content,
    leave,
    letter,
    message,
    mime,
    options,
    parts,
    read,
    text,
    tools,
)

PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 60
PAGE = (
    "<style>p{color:red}</style><p>Hi</p><a href='https://shop.example/a?b=1'>shop</a>"
    "<a href='https://shop.example'>shop.example</a><img src='https://img.example/x.png'><img src=\"cid:logo\"></body>"
)
LOGO = Attachment(PNG, "logo.png", "image/png", "logo")
PDF = Attachment(b"%PDF", "a.pdf", "application/pdf")
ORIGINS = {7: "https://shop.example", 8: "http://shop.example", 9: "https://img.example"}


def page_of(one: Message) -> str:
    return text(content(one), "html")


def mail(features: Features, **more: Any) -> Message:
    tracking = more.pop("tracking", BASE)
    return message(parts(html=PAGE, attachments=(LOGO, PDF)), options=options(features, tracking, **more))


def tokens(page: str) -> list[Kind]:
    return [read_token(found).kind for found in re.findall(r"(?:[?&]|&amp;)p=([A-Za-z0-9_-]{40})", page)]


def test_nothing_is_looked_at_when_nothing_is_switched_on() -> None:
    composed = compose(mail(Features()), tools())
    assert (composed.rewritten, composed.origins, composed.images) == (None, (), ())
    assert content(mail(Features())) == source_of(composed)


def test_links_are_tracked_and_lead_where_they_led() -> None:
    page = page_of(mail(Features(trackclicks=True)))
    assert tokens(page) == [Kind.CLICK, Kind.CLICK] and "https://img.example/x.png" in page
    links = re.findall(rf'(?:href=["\'])({BASE}[^"\']*)', page)
    assert [original(unescape(link), ORIGINS) for link in links] == [
        "https://shop.example/a?b=1",
        "https://shop.example",
    ]


def test_a_link_that_names_its_host_is_left_alone_where_that_is_wanted() -> None:
    page = page_of(mail(Features(trackclicks=True, preventscam=True)))
    assert tokens(page) == [Kind.CLICK] and "<a href='https://shop.example'>" in page


def test_opens_are_tracked_by_images_and_a_pixel() -> None:
    assert tokens(page_of(mail(Features(trackopens=True)))) == [Kind.IMAGE, Kind.OPEN]
    assert tokens(page_of(mail(Features(trackopens=True), tracks_images=False))) == [Kind.OPEN]


def test_style_sheets_are_inlined_without_a_tracking_host_too() -> None:
    assert '<p style="color: red' in page_of(mail(Features(inlinecss=True), tracking=""))
    everything = page_of(mail(EVERYTHING, tracking=""))
    assert '<p style="color: red' in everything and tokens(everything) == [] and "cid:logo" in everything


def test_images_are_hosted_and_taken_out() -> None:
    one = mail(Features(images="hosted"))
    composed = compose(one, tools())
    assert [(image.type, image.data) for image in composed.images] == [("image/png", PNG)]
    sent = content(one)
    assert embeds_of(sent) == [] and [file.name for file in attachments_of(sent)] == ["a.pdf"]
    address = re.search(rf'src="({BASE}/i/[A-Za-z0-9_-]{{60}}\.png)"', text(sent, "html"))
    assert address
    page = webversion_of(one, tools())
    assert page and address[1] in page and "cid:" not in page and tokens(page) == []


def test_links_in_texts_are_tracked_where_the_account_wants_it() -> None:
    one = message(parts(text="See https://shop.example/task."), options=options(Features(trackclicks=True)))
    assert "https://shop.example/task." in text(content(one))
    one = message(one.source, options=options(Features(trackclicks=True), tracks_text=True))
    assert tokens(text(content(one))) == [Kind.CLICK] and f"See {BASE}/task?p=" in text(content(one))
    one = message(one.source, options=options(Features(trackopens=True), tracks_text=True))
    assert text(content(one)).strip() == "See https://shop.example/task."


def test_the_way_to_leave_the_list_is_never_tracked() -> None:
    leaving = Unsubscribe(url="https://shop.example/leave?id=1")
    html = "<a href='https://shop.example/leave?id=1'>leave</a><a href='https://shop.example/x'>x</a>"
    one = message(parts(html=html, unsubscribe=leaving), options=options(Features(trackclicks=True)))
    assert "<a href='https://shop.example/leave?id=1'>" in page_of(one) and len(tokens(page_of(one))) == 1
    folded = b"List-Unsubscribe: <mailto:a@example.com>,\r\n <https://shop.example/leave?\r\n id=1>\r\n"
    whole = folded + HEAD + b"Content-Type: text/html\r\n\r\n" + html.encode() + b"\r\n"
    assert len(tokens(page_of(message(mime(whole), options=options(Features(trackclicks=True)))))) == 1


def test_an_origin_without_a_number_is_not_tracked() -> None:
    composed = compose(mail(Features(trackclicks=True)), tools())
    assert composed.origins == ("https://shop.example",)
    assert content_of(composed, tools(), {}).count(BASE.encode()) == 0


def test_each_recipient_has_tokens_of_its_own_and_the_same_each_time() -> None:
    kit = tools()
    one, two = [message(mail(EVERYTHING).source, ordinal=n, options=options(EVERYTHING)) for n in (0, 1)]
    assert content(one, kit) == content(one, kit) == content(one, tools())
    assert content(one, kit) != content(two, kit)
    page = text(content(two, kit), "html")
    assert {read_token(found).message for found in re.findall(r"p=([A-Za-z0-9_-]{40})", page)} == {two.id}
    assert compose(one, kit).rewritten is compose(two, kit).rewritten


def test_what_is_kept_for_a_submission_is_not_taken_for_another_way_of_sending() -> None:
    kit = tools()
    clicks, opens = mail(Features(trackclicks=True)), mail(Features(trackopens=True))
    for one in (clicks, opens, clicks):
        assert content(one, kit) == content(one, tools())


def test_numbers_may_change_between_two_renderings() -> None:
    kit = tools()
    composed = compose(mail(Features(trackclicks=True)), kit)
    first, other = [content_of(composed, kit, {"https://shop.example": n}) for n in (7, 70)]
    assert first != other and first == content_of(composed, kit, {"https://shop.example": 7})


# --- what is not to be changed

SIGNED = (
    HEAD
    + b'Content-Type: multipart/signed; protocol="application/pgp-signature"; micalg=pgp-sha256; boundary="s"\r\n\r\n'
    b"--s\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<style>a{b:c}</style>"
    b"<a href=https://shop.example/>{$messageid}</a> \r\n"
    b"--s\r\nContent-Type: application/pgp-signature\r\n\r\n-----BEGIN PGP SIGNATURE-----\r\n--s--\r\n"
)
SMIME = SIGNED.replace(b"pgp-signature", b"pkcs7-signature").replace(b"pgp-sha256", b"sha-256")
ENCRYPTED = (
    HEAD + b'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="e"\r\n\r\n'
    b"--e\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"
    b"--e\r\nContent-Type: text/html\r\n\r\n<a href=https://shop.example/>{$messageid}</a>\r\n--e--\r\n"
)
OPAQUE = (
    HEAD + b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\ne3skbWVzc2FnZWlkfQ==\r\n"
)


@pytest.mark.parametrize("whole", [SIGNED, SMIME, ENCRYPTED, OPAQUE])
@pytest.mark.parametrize("data", [None, {"messageid": "changed"}])
def test_what_is_signed_or_encrypted_is_never_touched(whole: bytes, data: Any) -> None:
    everything = options(EVERYTHING, tracks_text=True, adds_text=True)
    assert content(message(mime(whole, data), options=everything)) == whole
    inside = (
        HEAD + b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n" + split(whole)[0].partition(b"1.0\r\n")[2]
    )
    inside += b"\r\n" + split(whole)[1] + b"\r\n--m--\r\n"
    assert content(message(mime(inside, data), options=everything)) == inside


LEAVES = st.sampled_from(
    [
        b"Content-Type: text/plain\r\n\r\nplain https://shop.example/ \r\n",
        b"Content-Type: text/html; charset=utf-8\r\n\r\n<p>no link \xc3\xa9</p>",
        b"Content-Type: text/html\r\n\r\n<a href=https://shop.example/>x</a>",
        b"Content-Type: text/html\r\n\r\n<style>p{color:red}</style><p>x",
        b"Content-Type: text/html\r\n\r\n<img src=https://img.example/a><img src=cid:logo>",
        b"Content-Type: text/html\r\nContent-Disposition: attachment\r\n\r\n<a href=https://shop.example/>x</a>",
        b"Content-Type: image/png\r\nContent-ID: <logo>\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw==",
        b"Content-Type: image/png\r\nContent-ID: <other>\r\n\r\npng",
        b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n<a href=https://shop.example/>\r\n",
        b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0=",
        b"Content-Type: text/calendar\r\n\r\nURL:https://shop.example/\r\n",
        b"no header and no blank line",
        b"\r\n",
    ]
)
MARKS = {
    "trackclicks": b"href=https",
    "inlinecss": b"<style",
    "images": b"cid:logo",
}


def whole_of(leaves: list[bytes], head: bytes = HEAD) -> bytes:
    inside = b"".join(b"--b\r\n" + leaf + b"\r\n" for leaf in leaves)
    return head + b"Content-Type: multipart/related;\r\n\tboundary=b\r\n\r\npre\r\n" + inside + b"--b--\r\npost\r\n"


@settings(deadline=None, max_examples=100)
@given(st.lists(LEAVES, max_size=5), st.sampled_from([HEAD, b"Subject:  odd \r\n" + HEAD + b"X:\r\n y\r\n"]))
def test_a_mail_without_features_leaves_octet_for_octet(leaves: list[bytes], head: bytes) -> None:
    whole = whole_of(leaves, head)
    assert content(message(mime(whole), options=options())) == whole


@settings(deadline=None, max_examples=150)
@given(st.lists(LEAVES, max_size=5), st.sampled_from(sorted(MARKS)))
def test_a_feature_changes_only_the_parts_that_it_concerns(leaves: list[bytes], feature: str) -> None:
    whole = whole_of(leaves)
    switched = Features(**{feature: "hosted" if feature == "images" else True})  # type: ignore[arg-type]
    sent = content(message(mime(whole), options=options(switched)))
    assert split(sent)[0] == split(whole)[0]
    before = [whole[part.start : part.end] for part in walk(whole, enters_messages=False)[1:]]
    after = [sent[part.start : part.end] for part in walk(sent, enters_messages=False)[1:]]
    is_shown = any(MARKS[feature] in leaf and b"attachment" not in leaf and b"rfc822" not in leaf for leaf in before)
    if not is_shown:
        assert sent == whole
    if len(after) == len(before):
        for old, new in zip(before, after, strict=True):
            is_concerned = b"text/html" in old and b"attachment" not in old and MARKS[feature] in old
            assert (old == new) or is_concerned
    else:
        # of several with one name the first is meant
        assert feature == "images" and sent.count(b"<logo>") == whole.count(b"<logo>") - 1
        assert [leaf for leaf in before if leaf in sent or b"<logo>" in leaf or b"cid:" in leaf] == before


# --- header


def names(octets: bytes) -> list[str]:
    return [field.name.decode() for field in read_fields(octets)]


def test_the_account_takes_care_of_who_leaves_its_lists() -> None:
    sent = content(message(parts(), options=options(manages_unsubscribe=True)))
    found = read(sent)
    assert found["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    address = found["list-unsubscribe"].strip("<>")
    assert address.startswith(f"{BASE}/unsubscribe?p=") and tokens(address) == [Kind.UNSUBSCRIBE]
    assert "list-unsubscribe" not in names(
        content(message(parts(), options=options(tracking="", manages_unsubscribe=True)))
    )


@pytest.mark.parametrize(
    "source",
    [
        parts(unsubscribe=Unsubscribe(url="https://example.com/leave")),
        mime(b"List-Unsubscribe: <https://example.com/leave>\r\n" + HEAD + b"\r\nx\r\n"),
        letter({"subject": "x", "content": "x", "headers": {"list-unsubscribe": "<https://example.com/leave>"}}),
    ],
)
def test_a_message_that_says_how_to_leave_keeps_its_own_way(source: Source) -> None:
    found = read(content(message(source, options=options(manages_unsubscribe=True))))
    assert found.get_all("list-unsubscribe") == ["<https://example.com/leave>"]
    assert found["list-unsubscribe-post"] is None


def test_marks_for_reports_stand_before_the_message_and_leave_it_alone() -> None:
    whole = HEAD + b"\r\ntext\r\n"
    tracked = leave(message(mime(whole), ordinal=2, options=options(Features(trackbounces=True), stream="news")))
    assert tracked.content == whole
    assert names(tracked.block) == ["received", "x-smtpeter-id", "feedback-id"]
    assert b"X-Smtpeter-Id: 0123456789abcdefghij-2\r\n" in tracked.block
    assert b"Feedback-ID: 0123456789abcdefghij:news:1:smtpeter\r\n" in tracked.block
    assert names(leave(message(mime(whole))).block) == ["received"]
    own = b"Feedback-ID: a:b:c:mine\r\n" + whole
    kept = leave(message(mime(own), options=options(Features(trackbounces=True))))
    assert kept.content == own and names(kept.block) == ["received", "x-smtpeter-id"]


def test_marks_of_an_earlier_gateway_are_taken_out() -> None:
    assert b"old" not in content(message(mime(b"X-SMTPeter-Id: old\r\n" + HEAD + b"\r\ntext\r\n")))


@pytest.mark.parametrize("transfer", list(Transfer))
def test_what_is_tracked_fits_every_host(transfer: Transfer) -> None:
    html = "<p>é</p><a href=https://shop.example/" + "x" * 2000 + ">y</a>"
    whole = (
        HEAD
        + b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        + html.encode()
        + b"\r\n"
    )
    kit = tools()
    composed = compose(message(mime(whole), options=options(Features(trackclicks=True))), kit)
    sent = render(composed, kit, NUMBERS, signers=(), now=NOW, transfer=transfer)
    assert sent.content == content_of(composed, kit, NUMBERS, transfer=transfer)
    assert sent.is_8bit == (not split(sent.content)[1].isascii())
    page = html_of(sent.content)
    assert page and tokens(page) == [Kind.CLICK] and "<p>é</p>" in page


def test_a_composed_mail_shows_nothing_of_itself_in_a_log() -> None:
    assert "shop" not in repr(compose(mail(EVERYTHING), tools())) and "k" * 32 not in repr(tools())
