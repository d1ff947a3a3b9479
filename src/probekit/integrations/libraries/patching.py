"""Changes in other people's libraries, and how each is put back.

One :class:`Patches` holds what was done to one library. Undoing restores every
original by identity; where somebody else has wrapped our wrapper meanwhile, theirs
stays and ours lets every call through untouched.
"""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeAlias

from probekit.notice import notice

# As wrapt calls it: (original, instance, positional, keywords) -> result.
Wrapper: TypeAlias = "Callable[[Any, Any, tuple[Any, ...], dict[str, Any]], Any]"

_ABSENT = object()


class Patches:
    """What was changed for one library.

    Attributes:
        active: False once undone; wrappers that somebody kept then do nothing.
    """

    __slots__ = ("_undo", "active")

    def __init__(self) -> None:
        """Start with nothing changed."""
        self.active = True
        self._undo: list[Callable[[], object]] = []

    def __bool__(self) -> bool:
        """Whether anything is changed."""
        return bool(self._undo)

    def wrap(
        self,
        owner: Any,
        name: str,
        wrapper: Wrapper,
        *,
        everywhere: bool = False,
    ) -> bool:
        """Replace the function *name* of *owner* by one that goes through *wrapper*.

        Args:
            owner: A class or a module.
            name: The attribute; when *owner* has none, nothing happens (another
                version of the library).
            wrapper: Called as wrapt calls wrappers.
            everywhere: Also replace it, by identity, in the modules that have
                imported it by name; and put it back there, also under names that
                were copied later.

        Returns:
            Whether it was there.

        """
        import wrapt

        held = vars(owner).get(name, _ABSENT)
        original = getattr(owner, name, _ABSENT) if held is _ABSENT else held
        if original is _ABSENT:
            return False
        wrapped = wrapt.FunctionWrapper(original, wrapper, enabled=self._is_active)
        setattr(owner, name, wrapped)
        self._undo.append(lambda: _restore(owner, name, held, wrapped))
        if everywhere:
            rebind(original, wrapped)
            self._undo.append(lambda: rebind(wrapped, original))
        return True

    def replace(self, owner: Any, name: str, value: Any) -> None:
        """Set the attribute *name* of *owner*, to be put back."""
        held = vars(owner).get(name, _ABSENT)
        setattr(owner, name, value)
        self._undo.append(lambda: _restore(owner, name, held, value))

    def on_undo(self, action: "Callable[[], object]") -> None:
        """Remember how to take back something done by other means."""
        self._undo.append(action)

    def undo(self) -> None:
        """Put everything back, last change first; never raises."""
        self.active = False
        while self._undo:
            try:
                self._undo.pop()()
            except Exception as error:  # noqa: PERF203 - the others are undone too
                notice("library-undo", "a library stays patched, inertly", error)

    def _is_active(self) -> bool:
        return self.active


def _restore(owner: Any, name: str, held: Any, ours: Any) -> None:
    if vars(owner).get(name, _ABSENT) is not ours:
        return  # wrapped or replaced by somebody after us: theirs to keep
    if held is _ABSENT:
        delattr(owner, name)
    else:
        setattr(owner, name, held)


def rebind(old: Any, new: Any) -> None:
    """Bind every module-level name that is *old* to *new*; extension modules stay."""
    for name, module in list(sys.modules.items()):
        private = name.startswith("_") and name != "__main__"
        if private or not isinstance(module, ModuleType):
            continue
        names = [key for key, value in list(vars(module).items()) if value is old]
        for key in names:
            setattr(module, key, new)
