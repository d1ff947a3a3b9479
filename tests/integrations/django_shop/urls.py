from django.urls import include, path, re_path

from . import views

urlpatterns = [
    path("orders/<int:number>/", views.order),
    path("orders/", views.Orders.as_view()),
    path("async/orders/<int:number>/", views.async_order),
    path("async/orders/", views.AsyncOrders.as_view()),
    path("broken/", views.broken),
    path("async/broken/", views.async_broken),
    path("missing/<int:number>/", views.missing),
    path("denied/", views.denied),
    path("unavailable/", views.unavailable),
    path("stream/", views.stream),
    path("broken-stream/", views.broken_stream),
    path("async/stream/", views.async_stream),
    path("file/", views.file),
    path("slow/", views.slow),
    path(
        "tenants/<slug:tenant>/",
        include([re_path(r"^users/(?P<name>[^/]+)/$", views.denied)]),
    ),
]
