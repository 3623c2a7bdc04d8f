import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, delete, func, insert, inspect, select, text, update
from sqlalchemy.exc import IntegrityError

from rankscope.storage.database import migrate, open_database, reshaping, safe_url, writing
from rankscope.storage.errors import NewerDatabaseError, UnusableDatabaseError
from rankscope.storage.migrating import alembic_config
from rankscope.storage.tables import Metric, Run
from tests.integration.storage.examples import in_processes, new_run

MIGRATE = """
from rankscope.storage.database import migrate, open_database
from rankscope.storage.finding import list_runs
wait()
engine = open_database(sys.argv[1])
migrate(engine)
print(len(list_runs(engine)))
"""


def test_the_migrated_schema_equals_the_tables(engine: Engine) -> None:
    options = {"compare_type": True, "compare_server_default": True}
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Run.metadata) == []


def test_the_first_migration_can_be_taken_back(empty_url: str) -> None:
    engine = open_database(empty_url)
    migrate(engine)
    with writing(engine) as connection:
        command.downgrade(alembic_config(connection), "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    engine.dispose()


def test_a_database_of_the_first_days_takes_every_kind_of_score(empty_url: str) -> None:
    engine = open_database(empty_url)
    with writing(engine) as connection:
        command.upgrade(alembic_config(connection), "0006")
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("evaluations") as table:
            table.drop_constraint("ck_evaluations_kind", type_="check")
            table.create_check_constraint("ck_evaluations_kind", "kind IN ('before', 'after')")
    migrate(engine)
    checks = inspect(engine).get_check_constraints("evaluations")
    assert sorted(str(check["name"]) for check in checks) == [
        "ck_evaluations_kind",
        "ck_evaluations_part",
    ]
    assert "question_only" in next(c["sqltext"] for c in checks if "kind" in c["sqltext"])
    engine.dispose()


def test_a_table_made_anew_takes_nothing_along_that_refers_to_it(engine: Engine) -> None:
    run = new_run(engine)
    row = {"run_id": run, "step": 1, "time": 0.0}
    with writing(engine) as connection:
        connection.execute(insert(Metric), row)
    with reshaping(engine) as connection:
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("runs") as table:
            table.alter_column("name", nullable=True)
    with engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(Metric)) == 1
    with writing(engine) as connection:  # and foreign keys hold again
        connection.execute(delete(Run).where(Run.id == run))
        assert connection.scalar(select(func.count()).select_from(Metric)) == 0


def test_a_change_that_leaves_rows_alone_in_the_world_changes_nothing(engine: Engine) -> None:
    run = new_run(engine)
    with writing(engine) as connection:
        connection.execute(insert(Metric), {"run_id": run, "step": 1, "time": 0.0})
    with pytest.raises(IntegrityError), reshaping(engine) as connection:
        connection.execute(update(Metric).values(run_id="nobody"))
    with engine.connect() as connection:
        assert connection.scalar(select(Metric.run_id)) == run


def test_several_processes_may_open_and_migrate_an_empty_database_at_once(empty_url: str) -> None:
    assert in_processes(MIGRATE, [[empty_url]] * 2) == ["0"] * 2


def test_a_database_of_a_newer_version_is_refused_with_the_remedy(empty_url: str) -> None:
    engine = open_database(empty_url)
    migrate(engine)
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NewerDatabaseError, match=r"'9999'.*upgrade Rankscope") as caught:
        migrate(engine)
    assert "\n" not in str(caught.value)
    engine.dispose()


def test_foreign_keys_are_enforced(engine: Engine) -> None:
    lost = text("INSERT INTO metrics (run_id, step, time) VALUES ('nobody', 1, 0)")
    with pytest.raises(IntegrityError), writing(engine) as connection:
        connection.execute(lost)


def test_sqlite_runs_in_wal_mode_and_waits_for_other_writers(sqlite_engine: Engine) -> None:
    expected = {"journal_mode": "wal", "synchronous": 1, "foreign_keys": 1, "busy_timeout": 5000}
    with sqlite_engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in expected
        }
    assert found == expected


def test_a_writer_that_read_first_waits_instead_of_being_refused(engine: Engine) -> None:
    count = text("SELECT count(*) FROM inventories")
    insert = text("INSERT INTO inventories (key, inventory, created_at) VALUES (:k, :b, :t)")

    def write(name: str) -> None:
        for number in range(10):
            with writing(engine) as connection:
                connection.execute(count)
                row = {"k": f"{name}{number}", "b": b"", "t": "2027-01-01 00:00:00.000000"}
                connection.execute(insert, row)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.connect() as connection:
        assert connection.execute(count).scalar_one() == 40


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:secret@127.0.0.1:1/none",
        "postgres://ada:secret@127.0.0.1:1/none",
        "mysql://ada:secret@localhost/none",
        "sqlite://",
        "not an address with secret",
    ],
)
def test_an_unusable_address_gives_one_line_without_the_password(url: str) -> None:
    with pytest.raises(UnusableDatabaseError) as caught:
        open_database(url)
    message = str(caught.value)
    assert "\n" not in message
    assert "secret" not in message
    assert "DATABASE_URL" in message


def test_a_file_that_is_no_database_gives_one_line_and_stays_untouched(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("my notes " * 200)
    with pytest.raises(UnusableDatabaseError, match="not a database"):
        open_database(f"sqlite:///{file}")
    assert file.read_text() == "my notes " * 200


def test_passwords_in_the_query_are_hidden_too() -> None:
    assert "secret" not in safe_url("postgresql://host/name?user=ada&password=secret")
