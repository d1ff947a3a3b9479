"""Names as Prometheus wants them, and the guard that keeps two series apart; pure.

Dots and all other characters that are not legal become one underscore, the unit
follows as a word, a counter ends in ``_total``. Where two series would become one, the
later one gets a hash in its name or an attribute of its own.
"""

import hashlib
import json
import re
from collections.abc import Hashable
from dataclasses import dataclass

from probekit.exporters.naming import Names, Naming
from probekit.model import AttributeValue, FrozenAttributes, Kind, Series
from probekit.notice import notice

METRIC = Naming(re.compile(r"[^a-zA-Z0-9:]+"))
LABEL = Naming(re.compile(r"[^a-zA-Z0-9]+"))
UNIT = Naming(re.compile(r"[^a-zA-Z0-9]+"))
RESERVED_LABELS = frozenset({"le", "quantile", "job", "instance"})
UNIT_WORDS = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "TiBy": "tibibytes",
    "KBy": "kilobytes",
    "kBy": "kilobytes",
    "MBy": "megabytes",
    "GBy": "gigabytes",
    "TBy": "terabytes",
    "bit": "bits",
    "m": "meters",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "g": "grams",
    "Cel": "celsius",
    "Hz": "hertz",
    "%": "percent",
}
PER_WORDS = {
    "s": "second",
    "min": "minute",
    "h": "hour",
    "d": "day",
    "m": "meter",
}
SUFFIXES: "dict[Kind, tuple[str, ...]]" = {
    "counter": ("", "_total"),
    "up_down_counter": ("",),
    "gauge": ("",),
    "histogram": ("", "_bucket", "_sum", "_count"),
}
_LIMIT_NAMES = 50_000

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Family:
    """What all series of one name, kind and unit share.

    Attributes:
        name: Without ``_total``.
        kind: Of the series.
        unit: The unit's word, at the end of the name; empty when none.
    """

    name: str
    kind: Kind
    unit: str = ""

    @property
    def type(self) -> str:
        """Prometheus' word for the kind."""
        return "gauge" if self.kind == "up_down_counter" else self.kind


@dataclass(frozen=True, slots=True)
class Named:
    """One series as Prometheus calls it."""

    family: Family
    labels: Labels


def unit_word(unit: str, kind: Kind) -> str:
    """A UCUM unit as a word; empty for annotations and for counted things.

    Example:
        >>> unit_word("By/s", "gauge"), unit_word("1", "gauge")
        ('bytes_per_second', 'ratio')

    """
    plain = re.sub(r"\{[^{}]*\}", "", unit)
    if plain == "1":
        return "ratio" if kind == "gauge" else ""
    above, slash, below = plain.partition("/")
    words = [UNIT_WORDS.get(above, above)]
    if slash and below:
        words += ["per", PER_WORDS.get(below, below)]
    return UNIT.of(" ".join(filter(None, words))).strip("_") if any(words) else ""


def metric_name(series: Series) -> "tuple[str, str]":
    """The family's name and its unit's word, before any guard.

    Example:
        >>> metric_name(Series("process.cpu.time", "counter", "s"))
        ('process_cpu_time_seconds', 'seconds')

    """
    name = METRIC.of(series.name)
    if name[0].isdigit():
        name = f"_{name}"
    if series.kind == "counter":
        name = name.removesuffix("_total") or name
    unit = unit_word(series.unit, series.kind)
    if name == unit:
        return name, ""  # a unit must be the end of a name, not the whole of it
    if unit and not name.endswith(f"_{unit}"):
        name = f"{name.rstrip('_')}_{unit}"
    return name, unit


def label_name(key: str) -> str:
    """A legal label for an attribute's key, before any guard.

    Example:
        >>> label_name("http.route"), label_name("1st"), label_name("job")
        ('http_route', 'key_1st', 'exported_job')

    """
    name = LABEL.of(key)
    if name[0].isdigit() or name == "_":  # with a hash it would begin with two
        name = f"key_{name}"
    return f"exported_{name}" if name in RESERVED_LABELS else name


def label_value(value: AttributeValue) -> str:
    """An attribute's value as text that every Prometheus reads.

    Example:
        >>> label_value(True), label_value(0.5), label_value(("a", 1))
        ('true', '0.5', '["a", 1]')

    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # Its parser takes a NUL for the end of the text.
        return value.replace("\0", "\ufffd")
    if isinstance(value, (int, float)):
        return repr(value)
    return json.dumps(list(value), ensure_ascii=False, default=str)


class PrometheusNames:
    """Names of metrics, labels and series that never stand for two things.

    The first that wants a name has it, so that names are stable as long as series are
    shown in the same order: that of their first appearance in the buffer.
    """

    __slots__ = ("_families", "_labels", "_samples", "_series")

    def __init__(self) -> None:
        """Know nothing."""
        self._labels = Names()
        self._samples: dict[str, Hashable] = {}
        self._families: dict[tuple[str, Kind, str], Family] = {}
        self._series: dict[tuple[str, Labels], Series] = {}

    def of(self, series: Series) -> Named:
        """What *series* is called; the same every time."""
        if len(self._series) >= _LIMIT_NAMES:
            self._series.clear()
        family = self._family(series)
        labels = self.labels(series.attributes)
        owner = self._series.setdefault((family.name, labels), series)
        if owner != series:
            notice("name-collision", f"two series of {family.name} have equal labels")
            own = ("series_hash", _digest((series.name, series.attributes)))
            labels = tuple(sorted((*labels, own)))
        return Named(family, labels)

    def labels(self, attributes: FrozenAttributes) -> Labels:
        """Attributes as labels, sorted; an empty one is none to Prometheus."""
        pairs = []
        for key, value in attributes:
            text = label_value(value)
            if text:
                pairs.append((self._labels.unique(label_name(key), key), text))
        return tuple(sorted(pairs))

    def _family(self, series: Series) -> Family:
        key = (series.name, series.kind, series.unit)
        found = self._families.get(key)
        if found is None:
            if len(self._families) >= _LIMIT_NAMES:
                self._families.clear()
                self._samples.clear()
            name, unit = metric_name(series)
            if not self._claim(name, key):
                notice("name-collision", f"two metrics would both be called {name}")
                name = f"{name}_{_digest(key)}"
                unit = ""  # the name does not end with it any more
                self._claim(name, key)
            found = self._families[key] = Family(name, series.kind, unit)
        return found

    def _claim(self, name: str, key: "tuple[str, Kind, str]") -> bool:
        wanted = [name + suffix for suffix in SUFFIXES[key[1]]]
        if any(self._samples.get(sample, key) != key for sample in wanted):
            return False
        self._samples.update(dict.fromkeys(wanted, key))
        return True


def _digest(original: Hashable) -> str:
    words = repr(original).encode("utf-8", "replace")
    return hashlib.blake2s(words).hexdigest()[:6]
