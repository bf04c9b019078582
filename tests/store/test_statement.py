"""Statements, migrations, columns and disk figures."""

from datetime import UTC, datetime

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpeter.model.message import Notify
from smtpeter.store import migrate
from smtpeter.store.columns import clean, from_ms, notify_from_text, notify_to_text, to_ms
from smtpeter.store.disk import GIB, MIB, free_disk_is_low, least_free_bytes
from smtpeter.store.operation import StoreRefused
from smtpeter.store.statement import INT, TEXT, Statement
from smtpeter.store.store import Store, open_store


def test_statement_numbers_its_parameters_in_the_order_of_the_types() -> None:
    statement = Statement("update t set a = :a {rows} where b = :b and c = :a", a=INT, b=TEXT)
    assert statement.sqlite == "update t set a = ?1 where b = ?2 and c = ?1"
    assert statement.postgres == "update t set a = $1::bigint where b = $2::text and c = $1::bigint"
    assert statement.postgres_many == (
        "update t set a = v.p_a from unnest($1::bigint[], $2::text[]) as v(p_a, p_b) where b = v.p_b and c = v.p_a"
    )


def test_statement_without_a_place_for_rows_is_run_for_each_by_a_lateral_join() -> None:
    statement = Statement("select a from t where b = :b limit 1 {skip_locked}", b=TEXT)
    assert statement.sqlite == "select a from t where b = ?1 limit 1"
    assert statement.postgres_many == (
        "select q.* from unnest($1::text[]) as v(p_b) cross join lateral "
        "(select a from t where b = v.p_b limit 1 for update skip locked) as q"
    )


@pytest.mark.parametrize("types", [{}, {"a": INT, "b": INT}])
def test_parameter_without_type_or_type_without_parameter_is_a_mistake(types: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="differ"):
        Statement("select :a", **types)


def test_both_dialects_have_the_same_migrations() -> None:
    steps = [[(m.number, m.name) for m in migrate.migrations(dialect)] for dialect in ("sqlite", "postgres")]
    assert steps[0] == steps[1]
    assert [number for number, _ in steps[0]] == list(range(1, len(steps[0]) + 1))


def test_migrations_run_once() -> None:
    connection = apsw.Connection(":memory:")
    assert migrate.migrate_sqlite(connection) == [m.number for m in migrate.migrations("sqlite")]
    assert migrate.migrate_sqlite(connection) == []


async def test_store_of_a_newer_program_is_refused(url: str) -> None:
    store = await open_store(url)
    await store.close()
    if url.startswith("sqlite:"):
        connection = apsw.Connection(url.removeprefix("sqlite:"))
        connection.execute("insert into migrations (number, name) values (9999, 'future')")
        connection.close()
    else:
        import asyncpg

        other = await asyncpg.connect(url)
        await other.execute("insert into migrations (number, name) values (9999, 'future')")
        await other.close()
    with pytest.raises(StoreRefused, match="9999"):
        await open_store(url)


async def test_store_opens_twice_at_once(url: str, store: Store) -> None:
    other = await open_store(url)
    await other.close()


@given(st.datetimes(datetime(1971, 1, 1), datetime(2999, 1, 1)))
@settings(max_examples=200)
def test_times_are_kept_to_the_millisecond(moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC, microsecond=moment.microsecond // 1000 * 1000)
    assert from_ms(to_ms(moment)) == moment


@given(st.frozensets(st.sampled_from(Notify)))
@settings(max_examples=16)
def test_notify_comes_back(notify: frozenset[Notify]) -> None:
    assert notify_from_text(notify_to_text(notify)) == notify


@given(st.text())
@settings(max_examples=50)
def test_clean_text_has_no_nul_and_loses_nothing_else(text: str) -> None:
    assert clean(text).replace("\ufffd", "\0").replace("\0", "") == text.replace("\ufffd", "").replace("\0", "")
    assert "\0" not in clean(text)


@pytest.mark.parametrize(
    ("total", "least"),
    [(10 * GIB, 256 * MIB), (20 * GIB, 20 * GIB // 50), (1000 * GIB, GIB)],
    ids=["small disk", "two percent", "large disk"],
)
def test_least_free_space_follows_the_size_of_the_disk(total: int, least: int) -> None:
    """D9"""
    assert least_free_bytes(total) == least


def test_free_disk_is_asked_of_the_file_system(tmp_path) -> None:  # type: ignore[no-untyped-def]
    import shutil

    usage = shutil.disk_usage(tmp_path)
    assert free_disk_is_low(tmp_path) is (usage.free < least_free_bytes(usage.total))
