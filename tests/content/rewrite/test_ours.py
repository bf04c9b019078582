import pytest

from smtpeter.content.rewrite.address import detach
from smtpeter.content.rewrite.ours import image_addresses, image_token, unsubscribe_address, webversion_address
from smtpeter.wire.token import BadToken, Kind, read, read_hosted
from tests.content.rewrite.letters import ACCOUNT, BASE, MESSAGE, RING, SEALER
from tests.wire.test_token import NOW


@pytest.mark.parametrize(
    ("address", "kind"), [(webversion_address, Kind.WEBVERSION), (unsubscribe_address, Kind.UNSUBSCRIBE)]
)
def test_a_page_names_its_message_and_account(address, kind):
    url = address(BASE, SEALER)
    rest, token = detach(url.removeprefix(BASE))
    reference = read(token)
    assert rest == f"/{kind.name.lower()}"
    assert (reference.kind, reference.message, reference.number) == (kind, MESSAGE, ACCOUNT)
    RING.check(reference, ACCOUNT, NOW)
    with pytest.raises(BadToken):
        RING.check(reference, ACCOUNT + 1, NOW)


def test_an_image_has_one_address_by_its_content():
    address = image_addresses(BASE, RING, ACCOUNT)
    url = address(b"d" * 32, "image/png")
    assert url == image_addresses(BASE, RING, ACCOUNT)(b"d" * 32, "image/png")
    assert url.endswith(".png")
    reference = read_hosted(image_token(url.removeprefix(BASE)))
    RING.check_hosted(reference, NOW)
    assert reference.digest == b"d" * 32


@pytest.mark.parametrize(
    "path", ["", "/", "/i/", "/i/short.png", "/i/" + "a" * 60, "/j/" + "a" * 60 + ".png", "/i/" + "a" * 60 + "./x"]
)
def test_another_path_is_no_image(path):
    assert image_token(path) is None
