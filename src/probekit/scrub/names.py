"""Which names announce a secret: judged by the parts of the name, not by its letters.

``author`` is not ``auth`` and ``tokenizer`` is not ``token``; ``DB_PASSWORD``,
``dbPassword``, ``pgpassword`` and ``http.request.header.authorization`` are secret.
"""

import re
from functools import lru_cache

_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_NAME_LIMIT = 200

# Each of these is a secret wherever it stands as a part of a name.
_WORD_LIST = """
    password passwords passwd passwds pwd passphrase passcode secret secrets token
    tokens auth authorization authentication credential credentials creds cred cookie
    cookies session sessions sessionid sid jwt bearer csrf xsrf otp pin cvv cvc ssn sig
    signature iban
"""
# Two or three parts that are a secret together, in whatever way they are joined.
_PHRASE_LIST = """
    apikey apikeys accesskey accesskeyid secretkey privatekey signingkey encryptionkey
    accountkey sharedkey masterkey sshkey authkey servicekey clientkey licensekey
    storagekey dbpass userpass smtppass mysqlpass pgpass cardnumber ccnumber creditcard
    securitycode connectionstring privatedata
"""
# "token_count" counts tokens; it does not hold one.
_HARMLESS_LIST = """
    count total len length size age ttl expiry expires type types policy limit duration
    attempts enabled valid status kind version usage name seconds ms failures errors
    active
"""
_WORDS = frozenset(_WORD_LIST.split())
_PHRASES = frozenset(_PHRASE_LIST.split())
_HARMLESS_ENDS = frozenset(_HARMLESS_LIST.split())
_WHOLE = frozenset({"pass", "private"})
_ENDINGS = (
    "password", "passwd", "passphrase", "secret", "apikey", "token", "sessionid",
)  # fmt: skip


@lru_cache(maxsize=4096)
def is_secret_name(name: str, extra: "frozenset[str]" = frozenset()) -> bool:
    """Say whether a value under *name* must not be kept.

    Args:
        name: Of an attribute, a header, a query value, a variable.
        extra: Further secret names, each joined and in lower case (``joined``).

    Example:
        >>> is_secret_name("X-Api-Key"), is_secret_name("author")
        (True, False)

    """
    parts = [part.lower() for part in _PART.findall(name[-_NAME_LIMIT:])]
    if not parts:
        return False
    whole = "".join(parts)
    if whole in _WHOLE or whole in extra:
        return True
    runs = {
        "".join(parts[start:end])
        for start in range(len(parts))
        for end in range(start + 1, min(start + 4, len(parts)) + 1)
    }
    if not runs.isdisjoint(extra):
        return True
    if parts[-1] in _HARMLESS_ENDS:
        return False
    return (
        not _WORDS.isdisjoint(parts)
        or not _PHRASES.isdisjoint(runs)
        or any(part.endswith(_ENDINGS) for part in parts)
    )


def joined(name: str) -> str:
    """Form of a name in which all its spellings are equal.

    Example:
        >>> joined("X-Employee.badgeNumber")
        'xemployeebadgenumber'

    """
    return "".join(part.lower() for part in _PART.findall(name))
