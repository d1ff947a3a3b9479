"""Rows S: what is on disk and on the screen is for its owner, and holds no secret."""

import json
import os
import stat
import subprocess
import sys

import pytest
from faultscene import files_below

from probekit.buffer.journal.segments import SegmentWriter
from probekit.buffer.store import Store
from probekit.errors import BufferFailed
from probekit.model import Event, Harvest

pytestmark = [pytest.mark.e2e, pytest.mark.faults]

SECRETS = {
    "url": "hunter2-url",
    "header": "hunter2-header",
    "attribute": "hunter2-attribute",
    "message": "hunter2-message",
    "durable": "hunter2-durable",
    "local": "hunter2-local",
    "query": "hunter2-query",
}

LEAKY = """
import logging, json
logging.basicConfig(level=logging.DEBUG)
S = json.loads(sys.argv[5])
PORT = sys.argv[6]
client = configure(exporters=[
    f"otlp://user:{S['url']}@127.0.0.1:{PORT}?token={S['header']}"
    if sys.argv[7] == "token" else f"otlp://user:{S['url']}@127.0.0.1:{PORT}"])

@probekit.probe
def pay(card):
    password = S["local"]
    raise RuntimeError(f"connecting to postgres://app:{S['message']}@db/shop failed")

for n in range(3):
    try:
        pay("x")
    except RuntimeError as error:
        probekit.record_exception(error, attributes={"password": S["attribute"]})
probekit.event("login", {"password": S["attribute"], "op.id": "x:1",
                         "url": f"https://shop/?token={S['query']}"},
               body=f"password={S['message']}")
probekit.event("login", {"api_key": S["durable"], "op.id": "x:2"}, durable=True)
probekit.count("logins", password=S["attribute"])
probekit.flush(1)
say(repr(client), probekit.status())
try:
    probekit.configure("shop", buffer=BUFFER, exporters=[f"nosuch://u:{S['url']}@h:1"])
except probekit.ConfigError as error:
    say(error)
"""


@pytest.mark.row("S1")
@pytest.mark.parametrize("how", ["userinfo", "token"])
@pytest.mark.parametrize("listening", [True, False])
def test_no_secret_is_in_a_file_a_log_a_repr_or_the_status(
    scene, ledger, how, listening
):
    """S1: those of the exporter's address and those that slip into the data."""
    if listening:
        ledger.start()
    said = scene.run(LEAKY, json.dumps(SECRETS), ledger.port, how)
    places = {
        "standard output": "\n".join(said),
        "standard error": "\n".join(scene.spoken),
        "status": json.dumps(scene.status()),
        "receiver": "\n".join(ledger.texts),
    }
    for path, data in files_below(scene.state).items():
        places[path.name] = data.decode("latin-1")

    assert said
    assert (2 <= len(ledger.texts)) == listening
    for kind, secret in SECRETS.items():
        found = [where for where, text in places.items() if secret in text]
        assert found == [], kind


QUOTING = """
import logging
logging.basicConfig(level=logging.DEBUG)
URL = "https://user:hunter2-user@h/?token=hunter2-token&api_key=hunter2-key"

class Quoting:
    "Tells its address in every error, as many clients do."
    def __init__(self, error):
        from probekit.ports import DeliveryContract
        self.contract, self.error = DeliveryContract(), error

    def send(self, batch):
        try:
            raise ConnectionError(f"no answer from {URL}")
        except ConnectionError as cause:
            raise self.error(f"POST {URL} failed") from cause

    def close(self):
        raise OSError(f"cannot close {URL}")

from probekit.errors import Forbidden, Rejected, RetryLater
exporters = [Quoting(kind) for kind in (RuntimeError, Forbidden, Rejected, RetryLater)]
for number, each in enumerate(exporters):
    each.name = f"quoting {number}"
client = configure(exporters=exporters)
for n in range(4):
    operation(n)
    probekit.flush(0.3)
say(repr(client), repr(client.settings), client.settings.shown(), probekit.status())
errors = [each.last_error for each in probekit.status().exporters]
say(sum("POST" in text for text in errors))
"""


@pytest.mark.row("S1")
def test_an_exporter_that_quotes_its_address_gives_nothing_away(scene):
    """S1: neither in its errors' text, nor in tracebacks, nor when it is closed."""
    said = scene.run(QUOTING)
    places = {"said": "\n".join([*said, *scene.spoken])}
    places["status"] = json.dumps(scene.status())
    for path, data in files_below(scene.state).items():
        places[path.name] = data.decode("latin-1")

    assert int(said[-1]) >= 3, said
    assert [] == [where for where, text in places.items() if "hunter2" in text]


@pytest.mark.row("S1")
@pytest.mark.parametrize(
    "command, exporters",
    [
        ("doctor", "otlp://u:hunter2-a@127.0.0.1:9?token=hunter2-b&gzip=0"),
        ("doctor", "nosuch://u:hunter2-a@h?token=hunter2-b"),
        ("ship --once", "otlp://u:hunter2-a@h:notaport?token=hunter2-b"),
        ("ship --once", "tcp://u:hunter2-a@127.0.0.1:9?no_such_token=hunter2-b"),
    ],
)
def test_no_command_shows_the_secrets_of_the_environment(tmp_path, command, exporters):
    """S1: working or wrong, what it prints holds none of them."""
    done = subprocess.run(
        [sys.executable, "-m", "probekit", *command.split()],
        capture_output=True, text=True, check=False, timeout=40, cwd=tmp_path,
        env=os.environ | {"PROBEKIT_EXPORTERS": exporters,
                          "PROBEKIT_BUFFER": str(tmp_path / "buffer.db")},
    )  # fmt: skip

    assert done.stdout + done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.row("S2")
@pytest.mark.parametrize("umask", ["0", "0o777"])
def test_every_file_is_its_owners_alone_whatever_the_umask(scene, ledger, umask):
    """S2: while it runs and after, of a damaged buffer that was set aside too."""
    ledger.start()
    text = f"""
        UMASK = {umask}
        os.umask(UMASK)
        configure()
        for n in range(50):
            operation(n, durable=True)
        assert probekit.flush(20)
        folder = os.path.dirname(BUFFER)
        for place, folders, files in os.walk(folder):
            for name in ["", *files]:
                path = os.path.join(place, name)
                say(oct(os.lstat(path).st_mode & 0o777), bool(name), name)
        assert os.umask(0) == UMASK
        """
    said = scene.run(text)
    scene.buffer.write_bytes(b"SQLite format 3\0" + os.urandom(8000))
    for leftover in scene.state.glob("buffer.db-*"):
        leftover.unlink()
    said += scene.run(text)
    after = [scene.state, *scene.state.rglob("*")]

    modes = {(is_file, mode) for mode, is_file, *_ in map(str.split, said)}
    assert modes == {("True", "0o600"), ("False", "0o700")}
    assert any(".corrupt-" in path.name for path in after)
    assert any(".seg" in line for line in said)
    assert [] == [
        path
        for path in after
        if stat.S_IMODE(path.lstat().st_mode) != (0o700 if path.is_dir() else 0o600)
    ]


@pytest.mark.row("S2")
@pytest.mark.parametrize("part", ["leader", "write", "wake", "journal"])
def test_no_planted_link_is_followed(scene, ledger, part):
    """S2: whatever file of ours is a link of somebody else's, its target is safe."""
    scene.books_expected = False
    ledger.start()
    scene.state.mkdir(mode=0o700)
    victim = scene.folder / "victim"
    if part == "journal":
        victim.mkdir()
    else:
        victim.write_bytes(b"precious")
    victim.chmod(0o644 if victim.is_file() else 0o755)
    (scene.state / f"buffer.db.{part}").symlink_to(victim)
    before = stat.S_IMODE(victim.stat().st_mode)
    scene.run(
        """
        configure()
        for n in range(50):
            operation(n, durable=n % 10 == 0)
        probekit.flush(2)
        """
    )

    assert before == stat.S_IMODE(victim.stat().st_mode)
    if victim.is_dir():
        assert [] == list(victim.iterdir())
    else:
        assert b"precious" == victim.read_bytes()


@pytest.fixture
def another_user(monkeypatch):
    """Whoever looks now is not who made the files so far, nor the superuser."""
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)


@pytest.mark.row("S2")
def test_a_buffer_that_another_user_has_put_there_is_left_alone(tmp_path, another_user):
    """It may be there to be read along, or to mislead."""
    planted = tmp_path / "buffer.db"
    planted.touch(mode=0o666)
    store = Store(planted)
    with pytest.raises(BufferFailed, match="belongs to user"):
        store.open()

    assert b"" == planted.read_bytes()


@pytest.mark.row("S2")
def test_a_journal_that_another_user_has_put_there_gets_no_segment(
    tmp_path, another_user
):
    """What waits for the disk stays in memory then."""
    planted = tmp_path / "buffer.db.journal"
    planted.mkdir(mode=0o777)
    with pytest.raises(PermissionError, match="left alone"):
        SegmentWriter(planted).append(Harvest(events=[Event(1, "e")]))

    assert [] == list(planted.iterdir())
