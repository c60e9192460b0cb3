"""export.py: everything is in it, in an order that is always the same, and its last line says what it holds."""

import base64
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from relay_proto.version import __version__
from relay_server.keeping.export import CHUNK_BYTES, RECORDS, SEQUENCES, Export, export_folder
from relay_server.keeping.layout import TABLES, newest_schema
from relay_server.keeping.source import open_source
from relay_server.store.files import FolderLock
from relay_server.store.interface import StoreRefused
from tests.keeping.conftest import Busy
from tests.keeping.stores import opened

WHEN = 1_700_000_000_000


def lines_of(folder: Path) -> list[bytes]:
    target = io.BytesIO()
    export_folder(folder, target, WHEN, lambda count: None)
    return target.getvalue().splitlines(keepends=True)


def records_of(folder: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in lines_of(folder)]


def test_every_row_of_every_table_is_a_record(busy: Busy) -> None:
    head, *records, end = records_of(busy.folder)
    assert head == {
        "record": "relay", "format": 1, "schema": newest_schema(), "version": __version__, "exported_at": WHEN
    }  # fmt: skip
    assert end["records"] == len(records)
    counted: dict[str, int] = dict.fromkeys(RECORDS, 0)
    for record in records:
        counted[record["record"]] += 1
    with opened(busy.folder) as database:
        tables = {table for (table,) in database.execute(TABLES)} | {SEQUENCES}
        assert set(RECORDS.values()) == tables, "a table that a migration made is exported, too"
        for name, table in RECORDS.items():
            (rows,) = database.execute(f'SELECT count(*) FROM "{table}"').fetchone()
            assert counted[name] == rows > 0, name


def test_a_record_has_the_columns_of_its_row_as_they_are(busy: Busy) -> None:
    records = records_of(busy.folder)
    messages = {record["message"]: record for record in records if record["record"] == "message"}
    text, data = messages[1], messages[2]
    assert text["body"] == "text \x00 \u2028 \U0001f600 'quoted'\n"
    assert base64.b64decode(data["body_base64"]) == b"\x00\xff bytes"
    assert "body" not in data
    assert "reply_to" not in text, "what is NULL is left out"
    (working,) = [
        record for record in records if record["record"] == "work" and record["message"] == busy.ids["working"]
    ]
    assert (working["state"], working["progress"], working["held_by"]) == ("working", 0.25, "ben")


def test_the_last_line_has_the_sha256_of_the_records(busy: Busy) -> None:
    _, *records, end = lines_of(busy.folder)
    assert orjson.loads(end)["sha256"] == hashlib.sha256(b"".join(records)).hexdigest()


def test_two_exports_of_the_same_differ_in_their_first_line_only(busy: Busy) -> None:
    target = io.BytesIO()
    export_folder(busy.folder, target, WHEN + 1, lambda count: None)
    first, *others = target.getvalue().splitlines(keepends=True)
    head, *same = lines_of(busy.folder)
    assert first != head
    assert others == same


def test_a_large_store_comes_in_small_pieces(copied: Callable[[], Path]) -> None:
    folder = copied()
    with opened(folder) as database:
        database.executemany(
            "INSERT INTO messages (sender, target, body, sent_at, thread, hops, recipients, online, claimable) "
            "VALUES ('ada', 'ben', ?, 1, 1, 0, 1, 0, 0)",
            [("x" * 1000,) for _ in range(2000)],
        )
    source = open_source(folder / "relay.db")
    sizes = [len(chunk) for chunk in Export(source, WHEN).chunks()]
    source.close()
    assert len(sizes) > 5
    assert max(sizes) < CHUNK_BYTES + 10_000


def test_no_token_is_in_it(busy: Busy) -> None:
    tokens = [record for record in records_of(busy.folder) if record["record"] == "token"]
    assert len(tokens) == 2
    assert all(len(base64.b64decode(token["digest_base64"])) == 32 for token in tokens)
    assert b"rly_" not in b"".join(lines_of(busy.folder))


def test_a_folder_in_use_is_left_to_the_relay_that_uses_it(copied: Callable[[], Path]) -> None:
    folder = copied()
    lock = FolderLock(folder)
    with pytest.raises(StoreRefused, match="in use by a running relay; leave out --data"):
        lines_of(folder)
    lock.release()
    assert lines_of(folder)


def test_a_folder_without_a_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreRefused, match=r"a folder with no relay\.db in it"):
        lines_of(tmp_path)
    assert list(tmp_path.iterdir()) == []
