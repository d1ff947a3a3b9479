from probekit.model import Batch
from probekit.ports import DeliveryContract

ALL = DeliveryContract()


def orders(parcels):
    return [
        point.value
        for parcel in parcels
        for window in parcel.windows
        for point in window.points
    ]


def test_an_exporter_that_comes_back_goes_on_where_it_stood(buffer, harvest):
    """Dropped and named again, a moment or a restart later, it repeats nothing."""
    buffer.store.register(["a", "guest"])
    buffer.write(harvest(orders=1))
    buffer.deliver("guest")
    buffer.store.register(["a"])
    buffer.write(harvest(orders=2))
    buffer.lead()
    buffer.store.register(["a", "guest"])

    assert [2.0] == orders(buffer.deliver("guest"))
    assert [1.0, 2.0] == orders(buffer.deliver("a"))
    assert buffer.books_balance()


def test_what_was_offered_to_an_exporter_is_offered_again_when_it_comes_back(
    buffer, harvest
):
    """Under the same key: the far side may have it already."""
    buffer.store.register(["guest"])
    buffer.write(harvest(orders=1))
    first = buffer.store.next_batch("guest", ALL, limit=100)
    buffer.store.register([])
    buffer.write(harvest(orders=2))
    buffer.store.register(["guest"])
    second = buffer.store.next_batch("guest", ALL, limit=100)

    assert isinstance(first, Batch)
    assert first.key == second.key
