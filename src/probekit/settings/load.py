"""From all origins to one ``Settings``: code, environment, file, defaults."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from probekit.errors import ConfigError
from probekit.scrub import Scrubber, redacted
from probekit.settings import environment, rules
from probekit.settings.file import read_nearest
from probekit.settings.model import ScrubSettings, Settings
from probekit.settings.place import default_buffer, default_service

# Setting → its rule. The order is the order in which mistakes are told.
RULES: "dict[str, Callable[[object], Any]]" = {
    "service": rules.service,
    "buffer": rules.buffer,
    "exporters": rules.exporters,
    "resource": rules.resource,
    "interval_s": rules.seconds(0.5, 3600.0),
    "flush_interval_s": rules.seconds(0.01, 60.0),
    "host_metrics": rules.switch,
    "own_metrics": rules.switch,
    "sync_durable": rules.switch,
    "traces": rules.traces,
    "shipper": rules.shipper,
    "retention": rules.retention,
    "limits": rules.limits,
    "scrub": rules.scrub,
    "alerts": rules.alerts,
    "instrument": rules.words,
    "disabled": rules.switch,
    "high_security": rules.switch,
}

_SHOWN_LIMIT = 120


def is_disabled(environ: "Mapping[str, str] | None" = None) -> bool:
    """Say whether the environment switches probekit off; never raises."""
    found = os.environ if environ is None else environ
    own = environment.switch(found.get("PROBEKIT_DISABLE", ""))
    if isinstance(own, bool):
        return own
    return found.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def load(
    *,
    environ: "Mapping[str, str] | None" = None,
    folder: "Path | None" = None,
    **code: object,
) -> Settings:
    """Gather the settings of all origins and check them.

    Code goes over ``PROBEKIT_*``, over ``OTEL_*``, over the nearest file, over the
    defaults; ``resource`` is merged name by name in that order. High security is on
    when any origin says so: code cannot take it back.

    Args:
        environ: The environment; the process's own when None.
        folder: Where the search for a file begins; the working folder when None.
        **code: What the application gave, by ``configure``'s names. None means "not
            given", and so does an empty list of exporters.

    Returns:
        The settings, complete; ``origins`` says where each came from.

    Raises:
        ConfigError: A name is unknown or a value breaks its rule; never while the
            environment switches probekit off, so that this is always a way out.

    Threads:
        Any; reads at most two small files in each folder upward.

    Example:
        >>> load(environ={}, folder=Path("/"), service="shop", interval_s=1).interval_s
        1.0

    """
    found = os.environ if environ is None else environ
    try:
        return _gathered(found, folder, code)
    except ConfigError:
        if not is_disabled(found):
            raise
        return _complete({"disabled": True}, {"disabled": "environment"}, found)


def _gathered(
    found: "Mapping[str, str]", folder: "Path | None", code: "Mapping[str, object]"
) -> Settings:
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    strict = False
    for origin, layer in _layers(found, folder, code):
        for setting, (given, source) in layer.items():
            checked = _checked(setting, given, source or origin)
            if setting == "resource":
                checked = values.get("resource", {}) | checked
            elif setting == "high_security":
                strict = checked = strict or checked
            values[setting] = checked
            origins[setting] = source or origin
    return _complete(values, origins, found)


_Layer: TypeAlias = "dict[str, tuple[object, str]]"


def _layers(
    environ: "Mapping[str, str]", folder: "Path | None", code: "Mapping[str, object]"
) -> "Iterator[tuple[str, _Layer]]":
    """Weakest first: file, standard variables, our variables, code."""
    table, path = read_nearest(folder or _working_folder())
    if path is not None:
        yield str(path), _with_service(_from_file(table, path))
    try:
        yield "environment", _with_service(environment.standard(environ))
    except ValueError as error:
        raise ConfigError(str(error)) from None
    yield "environment", environment.own(environ)
    given = {
        setting: (value, "")
        for setting, value in code.items()
        if value is not None and not (setting == "exporters" and _is_empty(value))
    }
    for setting in given:
        _refuse_unknown(setting, "code")
    yield "code", _with_service(given)


def _from_file(table: "Mapping[str, object]", path: Path) -> _Layer:
    layer: _Layer = {}
    for setting, value in table.items():
        _refuse_unknown(setting, str(path))
        layer[setting] = (value, "")
    lies = table.get("buffer")
    if isinstance(lies, str) and lies != ":memory:" and not lies.startswith("~"):
        # A path in a file is meant from where the file lies.
        layer["buffer"] = (str(path.parent / lies), "")
    return layer


def _with_service(layer: _Layer) -> _Layer:
    """Let ``service.name`` among the resource's attributes name the service."""
    attributes = layer.get("resource", ({}, ""))[0]
    if (
        "service" not in layer
        and isinstance(attributes, Mapping)
        and "service.name" in attributes
    ):
        layer["service"] = (attributes["service.name"], layer["resource"][1])
    return layer


def _complete(
    values: "dict[str, Any]", origins: "dict[str, str]", environ: "Mapping[str, str]"
) -> Settings:
    """Add what depends on other settings, and the defaults' origins."""
    strict = values.pop("high_security", False)
    service = values.setdefault("service", default_service())
    values.setdefault("buffer", default_buffer(service, environ))
    values["resource"] = values.get("resource", {}) | {"service.name": service}
    scrub = values.get("scrub", ScrubSettings())
    strict = strict or scrub.high_security
    values["scrub"] = replace(
        scrub, high_security=strict, enabled=scrub.enabled or strict
    )
    return Settings(
        **values,
        origins={setting: origins.get(setting, "default") for setting in RULES},
    )


def _checked(setting: str, value: object, origin: str) -> Any:
    try:
        return RULES[setting](value)
    except ValueError as error:  # BadName is one, too
        raise ConfigError(
            f"{setting} = {_shown(value)} (from {origin}): {error}"
        ) from None


def _shown(value: object) -> str:
    """A value for people, without secrets; objects by their type alone."""
    if isinstance(value, str):
        text = repr(Scrubber().text(redacted(value)))
    elif isinstance(value, (bool, int, float)):
        text = repr(value)
    elif isinstance(value, (list, tuple)) and value:
        text = f"[{', '.join(map(_shown, value[:5]))}]"
    else:
        text = f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN_LIMIT else text[:_SHOWN_LIMIT] + "…"


def _refuse_unknown(setting: str, origin: str) -> None:
    if setting in RULES:
        return
    import difflib

    nearest = difflib.get_close_matches(setting, RULES, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(RULES)}"
    raise ConfigError(f"{setting!r} (from {origin}) is not a setting; {hint}")


def _is_empty(value: object) -> bool:
    return isinstance(value, (str, list, tuple)) and not value


def _working_folder() -> Path:
    try:
        return Path.cwd()
    except OSError:  # it was removed under us: then there is no file either
        return Path(os.sep)
