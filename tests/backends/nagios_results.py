"""What Nagios shows of the shop, whichever way it came: sent and read back."""

from shop import VALUES

SERVICES = [
    "shop.orders plan:pro",
    "shop.carts",
    "shop.temperature",
    "shop.request.duration",
    "events",
    "exceptions",
]
SENT = {
    "counter shop.orders{plan=pro}": (1, "'value'=3;2;10 'total'=3c"),
    "up-down shop.carts": (0, "'value'=3"),
    "gauge shop.temperature": (0, "'value'=-4.5"),
    "histogram": (2, f"'count'={len(VALUES)} 'sum'=9.374s 'min'=0.004s 'max'=9s;;5"),
    "event order.refunded": (0, "OK - order.refunded amount=9 order.id=A1"),
    "exception": (2, "CRITICAL - ValueError: no such plan"),
}
QUERY = "host=pk-host&warn.shop.orders=2&crit.shop.orders=10"
QUERY += "&crit.shop.request.duration:max=5"


def stored(server):
    """What Nagios shows, in the words of SENT."""
    shown = server.services()
    nothing = (None, "", "")

    def perf(service):
        state, _, data = shown.get(service, nothing)
        return state, data

    def output(service):
        return shown.get(service, nothing)[:2]

    state, data = perf("shop.request.duration")
    return {
        "counter shop.orders{plan=pro}": perf("shop.orders plan:pro"),
        "up-down shop.carts": perf("shop.carts"),
        "gauge shop.temperature": perf("shop.temperature"),
        "histogram": (state, data.partition(" 'p50'")[0]),
        "event order.refunded": output("events"),
        "exception": output("exceptions"),
    }
