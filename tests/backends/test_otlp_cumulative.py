"""A real OTLP receiver sees one stream of totals although the application restarts."""

import re
import time

import pytest
from otlpserver import rotel as started
from shop import Shop

pytestmark = [pytest.mark.backend, pytest.mark.timeout(60)]
POINT = re.compile(
    r"Name: shop\.operations\n(?:.*\n)*?.*StartTimestamp: (\d+)\n"
    r".*Timestamp: (\d+)\n.*Value: ([\d.]+)"
)


@pytest.mark.parametrize("scheme", ["otlp+json", "otlp+grpc"])
def test_totals_have_one_start_over_restarts_and_another_in_a_new_buffer(
    tmp_path, scheme
):
    with started(tmp_path / "rotel") as rotel:
        port = rotel.grpc if scheme == "otlp+grpc" else rotel.port
        url = f"{scheme}://127.0.0.1:{port}?temporality=cumulative"
        for folder in ("first", "first", "second"):
            if folder == "second":
                time.sleep(0.6)  # a start is that of a window, half a second wide
            (tmp_path / folder).mkdir(exist_ok=True)
            with Shop(tmp_path / folder, url) as shop:
                shop.ask("orders 100")
                assert shop.ask("flush 10")
        assert rotel.has(r"Value: 200(.*\n)+.*Value: 100")
        found = [tuple(map(float, each)) for each in POINT.findall(rotel.text())]
    totals = {value: start for start, _, value in found if value == 200.0}
    starts = [start for start, _, _ in found]

    assert {100.0, 200.0} <= {value for _, _, value in found}
    assert 2 == len(set(starts))
    assert starts == sorted(starts)
    assert totals == {200.0: starts[0]}
    assert all(start <= end for start, end, _ in found)
