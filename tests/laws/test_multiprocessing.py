"""Children of multiprocessing: a normal end costs nothing, however they began."""

import multiprocessing

import pytest

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_child_that_ends_at_once_loses_nothing(program, method):
    """A fork server's child imports the program before it is a child at all."""
    program.run(
        """
        import multiprocessing, sys
        import probekit

        probekit.configure("shop", buffer=sys.argv[1], interval_s=0.5)

        def work(number):
            for _ in range(100):
                probekit.count("shop.orders")

        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[2])
            children = [context.Process(target=work, args=(n,)) for n in range(2)]
            for child in children:
                child.start()
            for child in children:
                child.join()
            probekit.flush(timeout_s=20)
        """,
        method,
    )

    assert [(200.0,)] == program.sql(
        "SELECT sum FROM series WHERE name = 'shop.orders'"
    )
