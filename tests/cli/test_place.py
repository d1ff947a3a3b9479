import sqlite3

import pytest


def test_a_missing_buffer_is_one_line(probekit, tmp_path):
    """It names the path."""
    status, out, err = probekit("status", "--buffer", tmp_path / "no.db")

    assert 1 == status
    assert "" == out
    assert 1 == len(err.splitlines())
    assert str(tmp_path / "no.db") in err


def test_the_only_buffer_is_found(probekit, make_buffer, tmp_path):
    """Without any option."""
    made = make_buffer(tmp_path / "xdg/probekit/shop/buffer.db")
    made.add()
    status, out, _ = probekit("status")

    assert 0 == status
    assert str(made.path) in out


def test_several_buffers_are_listed(probekit, make_buffer, tmp_path):
    """The user chooses."""
    paths = [tmp_path / f"xdg/probekit/{name}/buffer.db" for name in ("a", "b")]
    for path in paths:
        make_buffer(path).add()
    status, _, err = probekit("status")

    assert 1 == status
    assert all(str(path) in err for path in paths)
    assert "--buffer" in err


def test_the_settings_service_chooses_among_several(
    probekit, make_buffer, tmp_path, monkeypatch
):
    """From the environment or a file, as for the application."""
    for name in ("a", "b"):
        make_buffer(tmp_path / f"xdg/probekit/{name}/buffer.db").add()
    monkeypatch.setenv("PROBEKIT_SERVICE", "b")

    assert "probekit/b/buffer.db" in probekit("status")[1]


def test_a_buffer_in_memory_cannot_be_looked_into(probekit, monkeypatch):
    """And the message says why."""
    monkeypatch.setenv("PROBEKIT_BUFFER", ":memory:")
    status, _, err = probekit("status")

    assert 1 == status
    assert "memory" in err


@pytest.mark.parametrize("command", ["status", "tail", "query"])
def test_a_foreign_file_is_named_and_left_alone(probekit, tmp_path, command):
    """A text, and somebody else's database."""
    text, database = tmp_path / "text.db", tmp_path / "other.db"
    text.write_text("precious\n" * 1000)
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE customer (name)")
    connection.close()
    words = ["SELECT 1"] if command == "query" else []
    for path in (text, database):
        before = path.read_bytes()
        status, out, err = probekit(command, *words, "--buffer", path)

        assert 1 == status
        assert "" == out
        assert 1 == len(err.splitlines())
        assert str(path) in err
        assert before == path.read_bytes()


@pytest.mark.parametrize(
    "arguments, word",
    [
        (["status", "--nope"], "--nope"),
        (["statsu"], "status"),
        (["query"], "SQL"),
        (["tail", "-n", "many"], "many"),
        (["query", "SELECT 1", "more"], "more"),
        (["query", "SELECT 1", "--json", "--csv"], "--csv"),
        (["run", "--nope", "app.py"], "--nope"),
    ],
)
def test_a_wrong_option_is_one_line_and_status_2(probekit, arguments, word):
    """It says what is wrong and where to read more."""
    status, out, err = probekit(*arguments)

    assert 2 == status
    assert "" == out
    assert 1 == len(err.splitlines())
    assert word in err
    assert err.partition(" See ")[0].endswith((".", "?"))
    assert "--help" in err


@pytest.mark.parametrize("arguments", [[], ["dashboards"]])
def test_no_word_at_all_shows_the_help_as_it_is_written(probekit, arguments):
    """Click 8.1 writes it to the other stream and says 0."""
    _, out, err = probekit(*arguments)

    assert 10 < len((out + err).splitlines())
    assert (out + err).startswith("Usage: probekit")


def test_a_buffer_of_another_user_is_told_from_a_damaged_one(
    probekit, buffer, monkeypatch
):
    """Its file is 0600; SQLite would only say that it cannot open it."""
    monkeypatch.setattr("os.access", lambda path, mode: False)
    status, _, err = probekit("status", "--buffer", buffer.path)

    assert 1 == status
    assert "may not be read by this user" in err


def test_a_folder_is_no_buffer(probekit, buffer):
    """The file in it is named, when it is there."""
    folder = buffer.path.parent
    status, _, err = probekit("status", "--buffer", folder)

    assert 1 == status
    assert f"probekit: {folder} is a folder" in err
    assert str(buffer.path) in err


def test_a_wrong_setting_is_one_line(probekit, monkeypatch):
    """With the variable that holds it."""
    monkeypatch.setenv("PROBEKIT_INTERVAL_S", "never")
    status, _, err = probekit("status")

    assert 1 == status
    assert 1 == len(err.splitlines())
    assert "PROBEKIT_INTERVAL_S" in err
