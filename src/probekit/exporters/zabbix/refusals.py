"""What Zabbix has no items for: which records are refused, and how they are told.

A record is refused when none of its values was taken; one that lost some of its
figures (a prototype that somebody switched off) is not. A few refused records are
looked for until each is alone and becomes a dead letter; after that, and where they
are many, they are counted, and their keys are left out for a while.
"""

from collections.abc import Sequence

from probekit.exporters.zabbix.values import Encoded
from probekit.exporters.zabbix.wire import Value

FEW = 8  # up to here each refused record is looked for


class Refusals:
    """Remembers keys without an item.

    Args:
        again_s: After how long a key is tried again, seconds.
    """

    __slots__ = ("_again_s", "_until_s")

    def __init__(self, again_s: float) -> None:
        """Nothing was refused yet."""
        self._again_s = again_s
        self._until_s: dict[str, float] = {}

    def worth_sending(self, encoded: Encoded, now_s: float) -> "list[Value]":
        """The values whose key was not refused lately."""
        if not self._until_s:
            return encoded.values
        self._until_s = {k: s for k, s in self._until_s.items() if s > now_s}
        return [value for value in encoded.values if value.key not in self._until_s]

    def judge(
        self,
        encoded: Encoded,
        sent: "Sequence[Value]",
        failed: "Sequence[tuple[Value, str]]",
        now_s: float,
    ) -> "tuple[str, int | None]":
        """What to say about a batch.

        Returns:
            (reason, count): an empty reason when every record was taken; a count of
            None to have the batch cut in halves.

        """
        refused = {id(value) for value, _ in failed}
        taken = {value.record for value in sent if id(value) not in refused}
        lost = [record for record in range(encoded.records) if record not in taken]
        fresh = sorted({value.record for value, _ in failed} - taken)
        if not lost:
            self._note(failed, now_s)
            return "", 0
        if not failed:
            return f"no item for {len(lost)} records, as before", len(lost)
        reason = f"no item with the key {failed[0][0].key!r}: {failed[0][1]}"
        if encoded.records == 1:
            self._note(failed, now_s)
            return reason, None
        if 0 < len(fresh) <= FEW:
            return reason, None
        self._note(failed, now_s)
        return reason, len(lost)

    def _note(self, failed: "Sequence[tuple[Value, str]]", now_s: float) -> None:
        for value, _ in failed:
            self._until_s[value.key] = now_s + self._again_s
