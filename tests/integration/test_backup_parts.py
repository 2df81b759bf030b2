"""A backup is proven or it is not there: the right client, every byte, every table, the manifest last."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from migrator.backup.client import Client, find_client
from migrator.backup.dump import About, Dumper
from migrator.backup.stores import FileStore
from migrator.backup.watch import Watch
from migrator.clock import Stop, SystemClock
from migrator.demo.cluster import embedded_binaries
from migrator.errors import BackupFailed, InterruptedMidway, PolicyRefused
from migrator.model import RevisionId, VersionTable
from migrator.postgres.session import Connector
from tests.support.clients import fake_pg_dump
from tests.support.clock import HandClock
from tests.support.target import Target

ABOUT = About(
    run_id="0123456789abcdef",
    app="shop",
    release="1.2",
    database="orders",
    heads=(RevisionId("a1"),),
    version_tables=(VersionTable(),),
)
ROWS = 20_000

MakeDumper = Callable[..., Dumper]
WATCHED = {"clock", "stop", "prove_leadership", "stall"}


@dataclass
class Told:
    """Events, kept; at some of them something is done."""

    at: dict[str, Callable[[], object]] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)

    def record(self, event: str, message: str, **facts: Any) -> None:
        self.told.append({"event": event, "message": message, **facts})
        self.at.get(event, lambda: None)()

    def named(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.told if one["event"] == event]


@pytest.fixture
def filled(target: Target) -> Target:
    """A target with a version and two tables, one of some size that does not compress away."""
    target.execute(
        "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('a1');"
        f"CREATE TABLE book AS SELECT n, md5(n::text) title FROM generate_series(1, {ROWS}) n;"
        "CREATE TABLE shelf ()"
    )
    return target


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "backups" / "orders"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def make_dumper(filled: Target, connector: Connector, folder: Path) -> MakeDumper:
    """Make a dumper of the target with these programs, and whatever else a test replaces."""

    def make(bin_folder: Path | None = None, **others: object) -> Dumper:
        watched = {name: others.pop(name) for name in WATCHED & others.keys()}
        dumper = Dumper(
            connector=connector,
            dsn=connector.dsn,
            client=find_client(bin_folder or filled.cluster.binaries.folder, 150000),
            store=FileStore(folder),
            watch=replace(Watch(HandClock(), Stop(), lambda: None), **watched),  # type: ignore[arg-type]
            events=Told(),
        )
        return replace(dumper, **others)  # type: ignore[arg-type]

    return make


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestClient:
    """Which programs are used."""

    @pytest.fixture
    def places(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both embedded installations, the newer one first."""
        folders = [str(embedded_binaries(major).folder) for major in (18, 16)]
        monkeypatch.setenv("PATH", ":".join(folders))

    @pytest.mark.usefixtures("places")
    @pytest.mark.parametrize(("server", "client"), [(160014, 16), (170002, 18), (180000, 18)])
    def test_it_is_the_oldest_that_is_not_older_than_the_server(self, server: int, client: int) -> None:
        found = find_client(None, server)
        assert found.major == client
        assert found.version.startswith(f"{client}.")

    @pytest.mark.usefixtures("places")
    def test_none_that_is_older_than_the_server_is_ever_chosen(self) -> None:
        with pytest.raises(PolicyRefused, match=r"the server, which is 19; found: .*16.*18") as refusal:
            find_client(None, 190000)
        assert "MIGRATOR_PG_BIN" in refusal.value.remedy

    def test_a_folder_that_was_named_is_the_only_place(self) -> None:
        with pytest.raises(PolicyRefused, match="found: 16"):
            find_client(embedded_binaries(16).folder, 180000)

    def test_an_empty_folder_has_none(self, tmp_path: Path) -> None:
        with pytest.raises(PolicyRefused, match="found: none"):
            find_client(tmp_path, 160000)

    @pytest.mark.usefixtures("places")
    def test_a_broken_program_elsewhere_is_passed_over(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broken(tmp_path / "broken")
        monkeypatch.setenv("PATH", f"{tmp_path / 'broken'}:{embedded_binaries(18).folder}")
        assert find_client(None, 180000).folder == embedded_binaries(18).folder

    def test_a_broken_program_that_was_named_is_refused(self, tmp_path: Path) -> None:
        broken(tmp_path / "broken")
        with pytest.raises(PolicyRefused, match="cannot be run"):
            find_client(tmp_path / "broken", 160000)

    @pytest.mark.parametrize("major", [16, 18])
    def test_a_build_without_zstd_falls_back_to_gzip(self, major: int) -> None:
        folder = embedded_binaries(major).folder
        assert Client(folder, major, "").compression() in {"zstd:1", "gzip:1"}
        assert Client(folder, 15, "15.0").compression() == "1"


def broken(folder: Path) -> None:
    folder.mkdir()
    for name in ("pg_dump", "pg_restore"):
        (folder / name).write_text("no program at all")
        (folder / name).chmod(0o755)


class TestDump:
    """What is in the folder afterwards."""

    @pytest.mark.postgres(16, 18)
    def test_a_backup_is_an_archive_and_its_manifest(
        self, filled: Target, make_dumper: MakeDumper, folder: Path
    ) -> None:
        backup = make_dumper().take(ABOUT)
        archive = Path(backup.location)
        manifest = json.loads(archive.with_suffix(".manifest.json").read_text())
        assert names(folder) == sorted([archive.name, archive.with_suffix(".manifest.json").name])
        assert manifest["sha256"] == backup.sha256 == hashlib.sha256(archive.read_bytes()).hexdigest()
        assert manifest["size_bytes"] == backup.size_bytes == archive.stat().st_size
        assert manifest["heads"] == ["a1"]
        assert manifest["server_version"].startswith(f"{filled.cluster.binaries.major}.")
        assert archive.stat().st_mode & 0o777 == 0o600

    def test_the_manifest_is_written_last(self, make_dumper: MakeDumper, folder: Path) -> None:
        seen: list[list[str]] = []
        told = Told({"backup.taken": lambda: seen.append(names(folder))})
        archive = Path(make_dumper(events=told).take(ABOUT).location)
        assert seen == [[archive.name]]
        manifest = archive.with_suffix(".manifest.json")
        assert manifest.stat().st_mtime_ns >= archive.stat().st_mtime_ns

    def test_an_archive_that_was_cut_short_is_noticed(
        self, filled: Target, make_dumper: MakeDumper, tmp_path: Path, folder: Path
    ) -> None:
        programs = fake_pg_dump(
            tmp_path / "bin", filled.cluster.binaries, '"$real" "$@" | head -c 100000; exit 0'
        )
        with pytest.raises(BackupFailed, match="pg_restore failed"):
            make_dumper(Path(programs)).take(ABOUT)
        assert names(folder) == []

    def test_a_table_that_is_missing_in_the_archive_is_noticed(
        self, filled: Target, make_dumper: MakeDumper, tmp_path: Path, folder: Path
    ) -> None:
        programs = fake_pg_dump(
            tmp_path / "bin", filled.cluster.binaries, 'exec "$real" "$@" --exclude-table=shelf'
        )
        with pytest.raises(BackupFailed, match=r"the archive has no data of public\.shelf"):
            make_dumper(Path(programs)).take(ABOUT)
        assert names(folder) == []

    def test_a_partitioned_table_that_is_missing_in_the_archive_is_noticed(
        self, filled: Target, make_dumper: MakeDumper, tmp_path: Path, folder: Path
    ) -> None:
        filled.execute("CREATE TABLE event (at date) PARTITION BY RANGE (at)")
        programs = fake_pg_dump(
            tmp_path / "bin", filled.cluster.binaries, 'exec "$real" "$@" --exclude-table=event'
        )
        with pytest.raises(BackupFailed, match="the archive lists 3 tables, the database has 4"):
            make_dumper(Path(programs)).take(ABOUT)
        assert names(folder) == []

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ('"$real" "$@" | head -c 50000; echo "pg_dump: error: out of luck" >&2; exit 1', "out of luck"),
            ("echo nonsense >&2; exit 3", "status 3: nonsense"),
            ("exit 0", "without a single byte"),
            ("kill -9 $$", "status -9: it said nothing"),
        ],
    )
    def test_a_dump_that_fails_leaves_nothing_behind(
        self, filled: Target, make_dumper: MakeDumper, tmp_path: Path, folder: Path, body: str, said: str
    ) -> None:
        programs = fake_pg_dump(tmp_path / "bin", filled.cluster.binaries, body)
        with pytest.raises(BackupFailed, match=said):
            make_dumper(Path(programs)).take(ABOUT)
        assert names(folder) == []

    def test_bytes_that_changed_on_disk_are_noticed(self, make_dumper: MakeDumper, folder: Path) -> None:
        def flip() -> None:
            (archive,) = folder.iterdir()
            with archive.open("r+b") as file:
                file.seek(archive.stat().st_size // 2)
                byte = file.read(1)
                file.seek(-1, 1)
                file.write(bytes([byte[0] ^ 1]))

        with pytest.raises(BackupFailed, match="its sha256 differs"):
            make_dumper(events=Told({"backup.taken": flip})).take(ABOUT)
        assert names(folder) == []

    @pytest.mark.parametrize("more", [1, -1])
    def test_bytes_that_were_added_or_lost_on_disk_are_noticed(
        self, make_dumper: MakeDumper, folder: Path, more: int
    ) -> None:
        def change() -> None:
            (archive,) = folder.iterdir()
            os.truncate(archive, archive.stat().st_size + more)

        with pytest.raises(BackupFailed, match=r"not what pg_dump wrote: it has \d+ bytes .* instead of"):
            make_dumper(events=Told({"backup.taken": change})).take(ABOUT)
        assert names(folder) == []

    def test_a_run_that_no_longer_leads_stops_at_once(self, make_dumper: MakeDumper, folder: Path) -> None:
        def lost() -> None:
            message = "the leader lock was lost"
            raise InterruptedMidway(message)

        with pytest.raises(InterruptedMidway):
            make_dumper(prove_leadership=lost, clock=_Hasty()).take(ABOUT)
        assert names(folder) == []

    def test_what_a_killed_run_left_is_removed_and_nothing_else(
        self, make_dumper: MakeDumper, folder: Path
    ) -> None:
        dumper = make_dumper()
        for name in (".old.dump.partial", "precious.dump", "notes.txt"):
            (folder / name).write_text("x")
        dumper.take(ABOUT)
        assert {"precious.dump", "notes.txt"} < set(names(folder))
        assert ".old.dump.partial" not in names(folder)

    def test_what_another_run_is_writing_is_left_alone(self, make_dumper: MakeDumper, folder: Path) -> None:
        dumper = make_dumper()
        with dumper.store.writing("another.dump") as file:
            file.write(b"so far")
            dumper.take(ABOUT)
        assert (folder / "another.dump").read_bytes() == b"so far"

    def test_what_pg_dump_cannot_be_told_is_refused(
        self, connector: Connector, make_dumper: MakeDumper, folder: Path
    ) -> None:
        dsn = replace(connector.dsn, parameters=(("sslpassword", "secret"),))
        with pytest.raises(PolicyRefused, match="sslpassword") as refusal:
            make_dumper(dsn=dsn).take(ABOUT)
        assert "secret" not in refusal.value.message
        assert names(folder) == []

    def test_progress_is_told_in_growing_numbers(
        self, filled: Target, make_dumper: MakeDumper, tmp_path: Path
    ) -> None:
        told, slow = Told(), tmp_path / "bin"
        body = '"$real" "$@" | { head -c 100000; sleep 1; cat; }'
        programs = fake_pg_dump(slow, filled.cluster.binaries, body)
        make_dumper(Path(programs), events=told, clock=_Hasty(), stall=timedelta(hours=1)).take(ABOUT)
        steps = [(one["size_bytes"], one["tables_done"]) for one in told.named("backup.progressed")]
        assert steps == sorted(steps)
        assert steps[-1][0] >= 100_000
        last = told.named("backup.progressed")[-1]
        assert last["tables"] == 3
        assert last["bytes_per_second"] == round(last["size_bytes"] / last["seconds"])

    def test_tables_of_another_role_are_named_instead_of_left_out(
        self, filled: Target, make_dumper: MakeDumper, folder: Path
    ) -> None:
        with filled.admin() as admin:
            admin.execute("CREATE TABLE secrets ()")
        with pytest.raises(PolicyRefused, match=r"public\.secrets") as refusal:
            make_dumper().take(ABOUT)
        assert "pg_read_all_data" in refusal.value.remedy
        assert names(folder) == []

    def test_row_level_security_that_hides_rows_from_their_owner_is_refused(
        self, filled: Target, make_dumper: MakeDumper
    ) -> None:
        filled.execute("ALTER TABLE book ENABLE ROW LEVEL SECURITY")
        make_dumper().take(ABOUT)
        filled.execute("ALTER TABLE book FORCE ROW LEVEL SECURITY")
        with pytest.raises(PolicyRefused, match=r"public\.book") as refusal:
            make_dumper().take(replace(ABOUT, run_id="another"))
        assert "BYPASSRLS" in refusal.value.remedy


class _Hasty(HandClock):
    """Ten seconds pass whenever somebody looks."""

    def monotonic(self) -> float:
        self.now += 10
        return self.now


def test_a_dump_that_stalls_is_ended_and_leaves_nothing(
    make_dumper: MakeDumper, filled: Target, folder: Path, tmp_path: Path
) -> None:
    programs = fake_pg_dump(tmp_path / "bin", filled.cluster.binaries, "printf PGDMP; exec sleep 600")
    dumper = make_dumper(Path(programs), clock=SystemClock(Stop()), stall=timedelta(seconds=0.5))
    with pytest.raises(BackupFailed, match=r"written nothing for 0\.5 s"):
        dumper.take(ABOUT)
    assert names(folder) == []
