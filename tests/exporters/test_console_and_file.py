"""Lines for people, and lines in a file of one's own."""

import io
import json
import os
import stat
import sys

import pytest

from probekit.errors import RetryLater
from probekit.exporters import Console, File, build
from probekit.testing.contract import hostile_batch, sample_batch


def test_people_read_one_line_for_each_record(capsys):
    build("console:").send(sample_batch(10**18))
    lines = capsys.readouterr().out.splitlines()

    assert 8 == len(lines)
    assert "01:46:50.000 shop.orders{plan=pro} +3 {order}" == lines[0]
    assert "shop.temperature -4.5 Cel" in lines[3]
    assert "count=4" in lines[4]
    assert "info order.refunded{order.id=A1, amount=9, ok=True}" in lines[5]
    assert "error exception" in lines[6]
    assert "2.000 ms error" in lines[7]


def test_standard_error_is_a_choice(capsys):
    build("console:?stream=stderr").send(sample_batch())

    assert "" == (captured := capsys.readouterr()).out
    assert "shop.orders" in captured.err


def test_terminals_see_no_control_characters():
    stream = io.StringIO()
    Console(stream).send(hostile_batch("\x1b]0;owned\x07\r\n"))

    assert stream.getvalue().replace("\n", "").isprintable()
    assert 3 == stream.getvalue().count("\n")


def test_a_narrow_encoding_loses_no_line():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Console(stream).send(hostile_batch("smile \U0001f600"))

    assert b"smile \\U0001f600" in raw.getvalue()


def test_a_process_without_standard_output_keeps_the_data(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(RetryLater, match="no stdout"):
        Console().send(sample_batch())


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def lines_in(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_file_is_appended_to_and_belongs_to_its_owner(tmp_path):
    path = tmp_path / "deep" / "out.jsonl"
    for _ in range(2):
        exporter = build(f"file://{path}?fsync=1")
        exporter.send(sample_batch())
        exporter.close()

    assert 16 == len(lines_in(path))
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 0o700 == stat.S_IMODE(path.parent.stat().st_mode)


def test_a_file_is_rotated_before_it_grows_too_long(tmp_path):
    path = tmp_path / "out.jsonl"
    exporter = File(path, limit_bytes=5000, backups=2)
    for _ in range(12):
        exporter.send(sample_batch())
    exporter.close()

    assert ["out.jsonl", "out.jsonl.1", "out.jsonl.2"] == names_in(tmp_path)
    assert all(file.stat().st_size <= 5000 for file in tmp_path.iterdir())
    assert all(len(lines_in(file)) % 8 == 0 for file in tmp_path.iterdir())


def test_without_backups_the_file_starts_anew(tmp_path):
    path = tmp_path / "out.jsonl"
    exporter = File(path, limit_bytes=3000, backups=0)
    for _ in range(5):
        exporter.send(sample_batch())
    exporter.close()

    assert ["out.jsonl"] == names_in(tmp_path)
    assert 8 == len(lines_in(path))


def test_a_file_that_was_moved_away_is_made_anew(tmp_path):
    path = tmp_path / "out.jsonl"
    exporter = File(path)
    exporter.send(sample_batch())
    path.rename(tmp_path / "moved")
    exporter.send(sample_batch())
    exporter.close()

    assert (8, 8) == (len(lines_in(path)), len(lines_in(tmp_path / "moved")))


def test_a_broken_last_line_of_somebody_else_stays_a_line_of_its_own(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text('{"torn":')
    exporter = File(path)
    exporter.send(sample_batch())
    exporter.close()

    assert '{"torn":' == path.read_text().splitlines()[0]
    assert 9 == len(path.read_text().splitlines())


def test_a_disk_that_fills_up_leaves_no_half_line(tmp_path, monkeypatch):
    path = tmp_path / "out.jsonl"
    exporter = File(path)
    exporter.send(sample_batch())
    before = path.read_bytes()
    write = os.write

    def short_then_full(descriptor, data, calls=[]):  # noqa: B006 - counts its calls
        calls.append(1)
        if len(calls) == 1:
            return write(descriptor, bytes(data)[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", short_then_full)
    with pytest.raises(RetryLater, match="No space left"):
        exporter.send(sample_batch())
    monkeypatch.undo()

    assert before == path.read_bytes()
    exporter.send(sample_batch())
    exporter.close()
    assert 16 == len(lines_in(path))


@pytest.mark.parametrize("kind", ["symlink", "fifo"])
def test_nothing_is_written_through_a_link_or_into_a_pipe(tmp_path, kind):
    path, elsewhere = tmp_path / "out.jsonl", tmp_path / "precious"
    elsewhere.write_text("precious")
    if kind == "symlink":
        path.symlink_to(elsewhere)
    else:
        os.mkfifo(path)
    exporter = File(path)
    with pytest.raises(RetryLater):
        exporter.send(sample_batch())
    exporter.close()

    assert "precious" == elsewhere.read_text()


def test_a_descriptor_that_the_host_took_over_is_not_written_to(tmp_path):
    """A daemonizing host closes our number and opens something else under it."""
    path, canary = tmp_path / "out.jsonl", tmp_path / "canary"
    exporter = File(path)
    exporter.send(sample_batch())
    number = exporter._descriptor
    with canary.open("wb", buffering=0) as other:
        os.dup2(other.fileno(), number)
        exporter.send(sample_batch())
        exporter.close()
        os.write(number, b"theirs")  # still open: we have not closed it either
        os.close(number)

    assert b"theirs" == canary.read_bytes()
    assert 16 == len(lines_in(path))
