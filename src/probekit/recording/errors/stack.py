"""What an exception leaves behind: types, messages, places; never locals or objects.

The application's thread copies names and numbers; the text, with its source lines
read from files, is made by the draining thread. Nothing here keeps an exception, a
traceback or a frame.
"""

import os
from itertools import islice
from types import TracebackType

from probekit.hints import NamedTuple
from probekit.naming import VALUE_LIMIT
from probekit.passing import let_pass
from probekit.recording.attributes import encodable, type_name

FRAMES_LIMIT = 60  # of one exception in a text; the middle is left out
CHAIN_LIMIT = 4  # causes and contexts shown
WALK_LIMIT = 2000  # frames looked at
TEXT_LIMIT = 16_384

_STDLIB = os.path.dirname(os.__file__)  # noqa: PTH120 - no Path on the recording path
# Where probekit lies: frames in there are none of the application's.
OURS = os.path.join(  # noqa: PTH118
    os.path.dirname(os.path.dirname(os.path.dirname(__file__))),  # noqa: PTH120
    "",
)
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"


class Place(NamedTuple):
    """One frame, reduced to text and numbers.

    Attributes:
        file: File name as the code has it.
        line: Line number, from 1; 0 when unknown.
        module: ``__name__`` of the module, or empty.
        function: Name of the function, qualified where Python says so (3.11).
    """

    file: str
    line: int
    module: str
    function: str

    @property
    def is_application(self) -> bool:
        """Whether this is neither standard library, nor installed, nor probekit."""
        file = self.file
        if file.startswith(OURS) or any(part in file for part in _INSTALLED):
            return False
        return not file.startswith((_STDLIB, "<frozen", "<probekit"))


class Trail(NamedTuple):
    """One exception of a chain.

    Attributes:
        type: Class name with module; builtins without.
        message: Its text, at most 4,096 characters.
        places: Outermost first.
        link: Sentence between the exception before and this one; empty at first.
    """

    type: str
    message: str
    places: "tuple[Place, ...]"
    link: str = ""


def message_of(error: BaseException) -> str:
    """Text of *error*, cut; a placeholder when its ``__str__`` fails."""
    try:
        return encodable(str(error), VALUE_LIMIT)
    except Exception as failure:  # the application's own __str__
        let_pass(failure)
        return "<message not available>"


def places_of(
    trace: "TracebackType | None",
    most: int = WALK_LIMIT,
) -> "tuple[Place, ...]":
    """The frames of *trace* without probekit's wrappers, outermost first."""
    places: list[Place] = []
    while trace is not None and most > 0:
        frame = trace.tb_frame
        code = frame.f_code
        if not code.co_filename.startswith("<probekit"):
            module = frame.f_globals.get("__name__")
            places.append(
                Place(
                    code.co_filename,
                    trace.tb_lineno or 0,
                    module if isinstance(module, str) else "",
                    getattr(code, "co_qualname", code.co_name),
                ),
            )
        trace = trace.tb_next
        most -= 1
    return tuple(places)


def trails_of(error: BaseException) -> "tuple[Trail, ...]":
    """*error* and what led to it, oldest first, as Python prints them."""
    trails: list[Trail] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(trails) < CHAIN_LIMIT:
        seen.add(id(current))
        cause, context = current.__cause__, current.__context__
        link, earlier = "", None
        if cause is not None:
            link, earlier = _CAUSE, cause
        elif context is not None and not current.__suppress_context__:
            link, earlier = _CONTEXT, context
        places = places_of(current.__traceback__)
        trails.append(
            Trail(type_name(type(current)), message_of(current), places, link),
        )
        current = earlier
    trails.reverse()
    return tuple(trails)


def text_of(trails: "tuple[Trail, ...]") -> str:
    """The traceback as Python prints it, cut; reads source files.

    Threads:
        The draining thread; it may wait for a disk.

    """
    parts: list[str] = []
    for position, trail in enumerate(trails):
        parts.append(trail.link if position else "")
        parts.append("Traceback (most recent call last):\n")
        half = FRAMES_LIMIT // 2
        places = trail.places
        if len(places) > FRAMES_LIMIT:
            left_out = len(places) - FRAMES_LIMIT
            parts.extend(_line(place) for place in places[:half])
            parts.append(f"  [{left_out} more frames]\n")
            places = places[-half:]
        parts.extend(_line(place) for place in places)
        parts.append(trail.type)
        parts.append(f": {trail.message}\n" if trail.message else "\n")
    text = "".join(parts)
    if len(text) > TEXT_LIMIT:
        text = f"{text[: TEXT_LIMIT // 2]}\n[cut]\n{text[-TEXT_LIMIT // 2 :]}"
    return text


def _line(place: Place) -> str:
    import linecache  # on the draining thread only: it reads files

    source = linecache.getline(place.file, place.line).strip()
    head = f'  File "{place.file}", line {place.line}, in {place.function}\n'
    return f"{head}    {source}\n" if source else head


def signature_of(places: "tuple[Place, ...]") -> "tuple[tuple[str, str], ...]":
    """What identifies a place of error: the application's frames without repetition.

    All frames when none is the application's. Line numbers are left out, so that an
    edit above does not make a new problem, and so are repetitions, so that the depth
    of a recursion does not.
    """
    application = [place for place in places if place.is_application]
    chosen = application or list(places)
    names = dict.fromkeys(
        (place.module, place.function.rpartition(".")[2]) for place in chosen
    )
    return tuple(islice(names, FRAMES_LIMIT))


def culprit_of(places: "tuple[Place, ...]") -> str:
    """``module.function`` of the innermost frame of the application."""
    if not places:
        return ""
    application = [place for place in places if place.is_application]
    innermost = (application or places)[-1]
    return f"{innermost.module}.{innermost.function}".lstrip(".")
