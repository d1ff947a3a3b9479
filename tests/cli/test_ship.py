import json

import pytest


@pytest.fixture
def left(make_buffer):
    """A buffer that nobody leads, with 3 orders in it."""
    made = make_buffer()
    made.add(events=[made.event(order="A1")])
    made.close()
    return made


def test_once_delivers_what_is_there_and_ends(probekit, left, tmp_path):
    """For cron; a second run has nothing to do and repeats nothing."""
    target = tmp_path / "out.jsonl"
    arguments = [
        "ship",
        "--once",
        "--buffer",
        left.path,
        "--exporter",
        f"file://{target}",
    ]
    status, out, err = probekit(*arguments)
    lines = [json.loads(line) for line in target.read_text().splitlines()]

    assert (0, "", "") == (status, out, err)
    assert [3] == [line["value"] for line in lines if line.get("name") == "shop.orders"]
    assert 1 == sum(line.get("name") == "order.paid" for line in lines)
    before = [line for line in lines if line.get("name") == "shop.orders"]
    assert 0 == probekit(*arguments)[0]
    after = [json.loads(line) for line in target.read_text().splitlines()]
    assert before == [line for line in after if line.get("name") == "shop.orders"]


def test_what_cannot_be_delivered_stays_and_is_told(probekit, left):
    """Exit status 1, one line, nothing lost."""
    import socket

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"tcp://127.0.0.1:{unused.getsockname()[1]}"
        status, _, err = probekit(
            "ship", "--once", "--buffer", left.path, "--exporter", url
        )

    assert 1 == status
    assert str(left.path) in err
    _, out, _ = probekit("status", "--json", "--buffer", left.path)

    assert 1 == json.loads(out)["stored"]["events"]


@pytest.mark.parametrize(
    "arguments, word",
    [
        ([], "exporter"),
        (["--exporter", "otpl://h:1"], "otpl"),
        (["--exporter", "console:", "--interval-s", "0.1"], "interval_s"),
        (["--exporter", "tcp://me:geheim@h:99999"], "99999"),
    ],
)
def test_a_wrong_setting_is_one_line(probekit, left, arguments, word):
    """As configure would say it."""
    status, _, err = probekit("ship", "--once", "--buffer", left.path, *arguments)

    assert 1 == status
    assert 1 == len(err.splitlines())
    assert word in err
    assert "geheim" not in err
