"""Templates on both stores: numbers, names, versions, and whose they are."""

import asyncio

import pytest

from smtpeter.model.account import Account
from smtpeter.store.answers import Answer, IdempotencyKey, Repeated
from smtpeter.store.store import Store
from smtpeter.store.templates import (
    NewTemplate,
    NewVersion,
    StoredTemplate,
    TemplateKey,
    TemplateQuery,
    drop_template,
    find_template,
    key_of,
    put_template,
    put_version,
    templates,
    versions_of,
)
from tests.store.mail import T0, after, make_account


async def put(store: Store, account: Account, name: str = "", document: str = '{"a": 1}', at: float = 0) -> int:
    return await store.write(put_template, NewTemplate(account.id, name, document, after(at)))


async def update(
    store: Store, account: Account, called: int | str, document: str, name: str = "", at: float = 1
) -> tuple[int, int] | None:
    return await store.write(put_version, NewVersion(key_of(account.id, called), name, document, after(at)))


async def find(store: Store, account: Account, called: int | str, version: int | None = None) -> StoredTemplate | None:
    return await store.read(find_template, key_of(account.id, called, version))


async def document_of(store: Store, account: Account, called: int | str, version: int | None = None) -> str:
    found = await find(store, account, called, version)
    assert found is not None
    return found.document


async def test_template_is_found_by_number_and_by_name(store: Store) -> None:
    account = await make_account(store)
    id = await put(store, account, "letter", '{"subject": "Grüße \\u0000"}')
    expected = StoredTemplate(id, "letter", 1, T0, '{"subject": "Grüße \\u0000"}')
    assert await find(store, account, id) == expected
    assert await find(store, account, str(id)) == expected
    assert await find(store, account, "letter") == expected
    assert await find(store, account, "Letter") is None


async def test_each_update_is_a_version_and_the_older_ones_stay(store: Store) -> None:
    account = await make_account(store)
    id = await put(store, account, "letter", "1")
    assert await update(store, account, id, "2", "letter") == (id, 2)
    assert await update(store, account, "letter", "3", "other", at=2) == (id, 3)
    assert [await document_of(store, account, id, version) for version in (None, 1, 2, 3)] == ["3", "1", "2", "3"]
    assert await find(store, account, id, 4) is None
    assert await find(store, account, "letter") is None
    assert await document_of(store, account, "other", 1) == "1"
    entries = await store.read(versions_of, key_of(account.id, id))
    assert [(entry.version, entry.created) for entry in entries] == [(3, after(2)), (2, after(1)), (1, T0)]


async def test_of_templates_that_share_a_name_the_one_changed_last_is_meant(store: Store) -> None:
    account = await make_account(store)
    one = await put(store, account, "letter", "1")
    two = await put(store, account, "letter", "2")
    assert await document_of(store, account, "letter") == "2"
    await update(store, account, one, "1b", "letter", at=5)
    assert await document_of(store, account, "letter") == "1b"
    await store.write(drop_template, key_of(account.id, one))
    found = await find(store, account, "letter")
    assert found is not None
    assert found.id == two


async def test_template_without_a_name_is_found_by_number_only(store: Store) -> None:
    account = await make_account(store)
    id = await put(store, account)
    assert await find(store, account, "") is None
    assert await find(store, account, id) is not None


async def test_name_of_digits_is_a_number_unless_it_is_asked_for_as_a_name(store: Store) -> None:
    account = await make_account(store)
    id = await put(store, account, "2026", "x")
    assert await find(store, account, "2026") is None
    found = await store.read(find_template, TemplateKey(account.id, name="2026"))
    assert found is not None
    assert found.id == id


@pytest.mark.parametrize("called", [0, -1, 2**70, "0", "9" * 300, "007", "\0", "x" * 5000, "'; drop table templates"])
async def test_what_cannot_be_a_template_is_none(store: Store, called: int | str) -> None:
    account = await make_account(store)
    await put(store, account, "letter")
    assert await find(store, account, called) is None
    assert await update(store, account, called, "{}") is None
    assert not await store.write(drop_template, key_of(account.id, called))


async def test_template_of_another_account_is_not_there(store: Store) -> None:
    mine, others = await make_account(store, "one"), await make_account(store, "two")
    theirs = await put(store, others, "letter", "theirs")
    for called in (theirs, "letter"):
        assert await find(store, mine, called) is None
        assert await update(store, mine, called, "mine") is None
        assert await store.read(versions_of, key_of(mine.id, called)) == []
        assert not await store.write(drop_template, key_of(mine.id, called))
    assert await store.read(templates, TemplateQuery(mine.id)) == []
    assert await document_of(store, others, theirs) == "theirs"


async def test_list_goes_by_number_in_pages(store: Store) -> None:
    account = await make_account(store)
    ids = [await put(store, account, f"letter {number}") for number in range(5)]
    await update(store, account, ids[3], "new", "three", at=9)
    pages = [await store.read(templates, TemplateQuery(account.id, start, 2)) for start in (0, 2, 4, 6)]
    assert [[entry.id for entry in page] for page in pages] == [ids[:2], ids[2:4], ids[4:], []]
    entry = pages[1][1]
    assert (entry.name, entry.version, entry.changed) == ("three", 2, after(9))


async def test_deleted_template_is_gone_with_its_versions_and_its_number_stays_unused(store: Store) -> None:
    account = await make_account(store)
    id = await put(store, account, "letter")
    await update(store, account, id, "2", "letter")
    assert await store.write(drop_template, key_of(account.id, id))
    assert not await store.write(drop_template, key_of(account.id, id))
    assert await find(store, account, "letter") is None
    assert await store.read(versions_of, key_of(account.id, id)) == []
    assert await update(store, account, id, "3") is None
    assert await put(store, account, "letter") > id


async def test_updates_at_the_same_time_get_versions_of_their_own(store: Store) -> None:
    account = await make_account(store)
    id = await put(store, account, "letter")
    made = await asyncio.gather(*[update(store, account, id, str(n), "letter") for n in range(10)])
    assert sorted(one[1] for one in made if one) == list(range(2, 12))
    kept = await store.read(versions_of, key_of(account.id, id))
    assert len(kept) == 11


async def test_template_with_a_known_key_is_not_made_again(store: Store) -> None:
    account = await make_account(store)

    def item() -> NewTemplate:
        def kept(id: int) -> IdempotencyKey:
            return IdempotencyKey(account.id, "key", b"digest", Answer(201, str(id).encode()), T0)

        return NewTemplate(account.id, "letter", "{}", T0, kept)

    id = await store.write(put_template, item())
    with pytest.raises(Repeated) as caught:
        await store.write(put_template, item())
    assert caught.value.answer.content == str(id).encode()
    listed = await store.read(templates, TemplateQuery(account.id))
    assert [entry.id for entry in listed] == [id]
