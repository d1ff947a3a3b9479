"""Tells when a module that matters has been imported, through wrapt's hooks.

wrapt knows hooks for names; patterns need a look at each name before it is imported.
The finder here takes that look, asks wrapt for a hook where the name matters, and
never finds anything itself.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from probekit.notice import notice

Imported = Callable[[ModuleType], None]


class PatternFinder:
    """First on ``sys.meta_path`` while anything is instrumented.

    Attributes:
        reloaded: Modules that matter and are being executed anew.
    """

    def __init__(self, matters: "Callable[[str], bool]", imported: Imported) -> None:
        """Call *imported* with each module whose name *matters*, once executed."""
        self._matters = matters
        self._imported = imported
        self._awaited: set[str] = set()
        self.reloaded: set[str] = set()

    def install(self) -> None:
        """Begin; twice changes nothing."""
        if self in sys.meta_path:
            return
        from wrapt import register_post_import_hook

        # The first hook puts wrapt's own finder in first place; ours goes before it.
        # This name is imported, so the hook is called at once and does nothing.
        register_post_import_hook(_nothing, __name__)
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """End; hooks that wait for modules do nothing when they come."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self,
        fullname: str,
        path: "Sequence[str] | None" = None,  # noqa: ARG002 - the import system's call
        target: "ModuleType | None" = None,  # noqa: ARG002
    ) -> "ModuleSpec | None":
        """Take note of *fullname*, and leave the finding to others."""
        try:
            if self._matters(fullname) and fullname not in self._awaited:
                self._await(fullname)
        except Exception as error:  # an import must not fail because of us
            notice("import-hook", f"{fullname} will not be instrumented", error)
        return None

    def _await(self, fullname: str) -> None:
        from wrapt import register_post_import_hook

        def arrived(module: ModuleType) -> None:
            self._awaited.discard(fullname)
            if self in sys.meta_path:
                self._imported(module)

        if fullname in sys.modules:
            self.reloaded.add(fullname)  # wrapt would call at once, and too early
        else:
            self._awaited.add(fullname)
            register_post_import_hook(arrived, fullname)


def _nothing(module: Any) -> None:
    """The hook that makes wrapt install its finder."""
