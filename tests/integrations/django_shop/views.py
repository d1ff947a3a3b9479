"""Views of every kind that Django knows."""

import asyncio
from pathlib import Path

from django.core.exceptions import PermissionDenied
from django.http import (
    FileResponse,
    Http404,
    HttpResponse,
    JsonResponse,
    StreamingHttpResponse,
)
from django.utils.decorators import sync_and_async_middleware
from django.views import View

import probekit

from .models import Order


class PaymentError(Exception):
    """What the shop raises."""


@sync_and_async_middleware
def refuse(get_response):
    """A middleware of the project's own that answers some requests itself."""
    if asyncio.iscoroutinefunction(get_response):

        async def refusing(request):
            if request.path == "/refused/":
                return HttpResponse(status=403)
            return await get_response(request)

    else:

        def refusing(request):
            if request.path == "/refused/":
                return HttpResponse(status=403)
            if request.path == "/broken-middleware/":
                raise PaymentError("declined")
            return get_response(request)

    return refusing


def order(request, number):
    probekit.event("order.seen", {"number": number})
    return HttpResponse("ok")


class Orders(View):
    def get(self, request):
        return JsonResponse({"orders": len(Order.objects.all())})

    def post(self, request):
        Order.objects.create(number=1)
        return JsonResponse({"orders": Order.objects.count()})


async def async_order(request, number):
    probekit.event("order.seen", {"number": number})
    return HttpResponse("ok")


class AsyncOrders(View):
    async def get(self, request):
        return JsonResponse({"orders": await Order.objects.acount()})


def broken(request):
    raise PaymentError("declined")


async def async_broken(request):
    raise PaymentError("declined")


def missing(request, number):
    raise Http404


def denied(request, **_):
    raise PermissionDenied


def unavailable(request):
    return HttpResponse(status=503)


def stream(request):
    def chunks():
        for order in Order.objects.iterator():
            yield str(order.number)
        yield "end"

    return StreamingHttpResponse(chunks())


def broken_stream(request):
    def chunks():
        yield "a"
        raise PaymentError("declined")

    return StreamingHttpResponse(chunks())


async def async_stream(request):
    async def chunks():
        yield str(await Order.objects.acount())
        yield "end"

    return StreamingHttpResponse(chunks())


def file(request):
    return FileResponse(Path(__file__).open("rb"))


entered = None  # an asyncio.Event that a test has put here


async def slow(request):
    entered.set()
    await asyncio.Event().wait()
