"""The page of the sink: it shows foreign mail, so nothing in a mail may become part of it."""

import pytest

from tests.live.gateway import an_address

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def number(gateway):
    """The number of a captured mail that tries to break out wherever it is shown."""
    recipient = an_address()
    gateway.sent(
        recipient=recipient,
        **{"from": {"name": f'"{SCRIPT}', "address": "joe@example.com"}},
        subject=f"Hello {SCRIPT}",
        text=f"text {SCRIPT}",
        html=f"<h1>Title</h1>{SCRIPT}<img src='http://tracker.example/pixel'>",
        extra={"x-evil": f"</pre>{SCRIPT}"},
    )
    gateway.captured(recipient)
    listed = gateway.http("GET", "/captured.json").json
    return next(one["number"] for one in listed if recipient in one["recipients"])


def policy(answer) -> dict[str, str]:
    """Gives the directives of the Content-Security-Policy."""
    parts = (part.strip().partition(" ") for part in answer.headers["content-security-policy"].split(";"))
    return {name: value for name, _, value in parts}


def test_list_shows_what_was_captured_and_escapes_it(gateway, number):
    answer = gateway.http("GET", "/captured")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert f'href="/captured/{number}"' in answer.text
    assert "Hello &lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert "<script" not in answer.text


def test_message_page_escapes_every_part_of_the_mail(gateway, number):
    answer = gateway.http("GET", f"/captured/{number}")
    assert answer.status == 200
    assert "text &lt;script&gt;" in answer.text
    assert "&lt;/pre&gt;&lt;script&gt;" in answer.text
    assert "<script" not in answer.text
    assert "<h1>Title" not in answer.text


def test_html_is_framed_without_any_permission(gateway, number):
    page = gateway.http("GET", f"/captured/{number}").text
    frame = page[page.index("<iframe") : page.index("</iframe>")]
    assert f'src="/captured/{number}/html"' in frame
    assert " sandbox " in frame, "a sandbox with a value would permit something"


@pytest.mark.parametrize("path", ["/captured", "/captured/{}", "/captured/{}/source", "/captured/987654321"])
def test_pages_run_no_scripts_and_load_nothing_foreign(gateway, number, path):
    answer = gateway.http("GET", path.format(number))
    directives = policy(answer)
    assert directives["default-src"] == "'none'"
    assert "script-src" not in directives
    assert directives["frame-ancestors"] == "'self'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_framed_html_is_sandboxed_by_its_own_answer_too(gateway, number):
    answer = gateway.http("GET", f"/captured/{number}/html")
    assert "<h1>Title</h1>" in answer.text
    directives = policy(answer)
    assert directives["sandbox"] == ""
    assert directives["default-src"] == "'none'"
    assert directives["img-src"] == "data:"
    assert "script-src" not in directives


def test_source_is_the_mail_as_text(gateway, number):
    answer = gateway.http("GET", f"/captured/{number}/source")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.body.startswith((b"DKIM-Signature:", b"Received:"))


def test_missing_mail_is_404(gateway):
    for path in ("/captured/987654321", "/captured/987654321/html", "/captured/987654321/source"):
        assert gateway.http("GET", path).status == 404, path


def test_form_of_another_site_does_not_empty_the_sink(gateway, number):
    answer = gateway.http("POST", "/captured/clear", b"", Origin="https://evil.example")
    assert answer.status == 403
    assert gateway.http("GET", f"/captured/{number}").status == 200
