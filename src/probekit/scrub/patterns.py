"""How secrets look in free text: patterns that take linear time on any input.

Each pattern starts only where a run of its characters starts (a look-behind), and
every run is bounded or ends where the next start is, so that no text makes a pattern
walk the same characters over and over.
"""

import re

REDACTED = "[redacted]"

PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[^-]+|-(?!----END ))*(?:-----END [A-Z0-9 ]{0,40}-----)?"
)
JWT = re.compile(r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)*")
BEARER = re.compile(
    r"(?<![\w-])(?P<name>bearer|basic|digest|negotiate|token)(?P<gap>\s{1,4})"
    r"(?=[\w.~+/=-]{0,200}[\d=])[\w.~+/=-]{8,}",
    re.IGNORECASE,
)
VENDOR = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ABIA|ACCA)[A-Z0-9]{16}"  # Amazon
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}"  # code hosts
    r"|xox[abeoprs]-[\w-]{10,}|xapp-[\w-]{10,}"  # Slack
    r"|AIza[\w-]{30,}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}"  # Google
    r"|(?:[sr]k|pk)_(?:live|test)_\w{10,}|whsec_[\w/+=]{16,}"  # Stripe
    r"|sk-[\w-]{20,}|hf_[A-Za-z0-9]{20,}"  # model hosts
    r"|npm_[A-Za-z0-9]{20,}|pypi-[\w-]{30,}|dop_v1_[0-9a-f]{20,}"  # registries
    r"|SG\.[\w-]{16,}\.[\w-]{16,}|key-[0-9a-f]{32}|(?:SK|AC)[0-9a-f]{32}"  # mailers
    r"|shp(?:at|ca|pa|ss)_[0-9a-fA-F]{20,}"  # shops
    r"|AGE-SECRET-KEY-1[A-Z0-9]{20,}|hvs\.[\w-]{20,}|vault:v\d+:[\w+/=]{8,}"
    r")"
)
HOOK = re.compile(
    r"(?<=hooks\.slack\.com/)[\w/+-]{8,}|(?<=discord\.com/api/webhooks/)[\w/-]{8,}"
)
# Up to the last @ before the host ends, since a password may hold an @; and across
# a slash where "user:" is followed by something that is no port.
USERINFO = re.compile(
    r"(?<=://)(?:[^/?#\s\"'<>]*@"
    r"|[^/?#\s\"'<>@:]{0,256}:(?!\d{1,5}(?:[/?#\s]|$))[^\s\"'<>@]{0,256}@)"
)
MAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]{1,200}@[\w-]+(?:\.[\w-]+)+")

HEADER = re.compile(
    r"(?P<name>(?<![\w-])(?:(?:proxy-)?authorization|(?:set-)?cookie))"
    r"(?P<gap>[ \t]{0,3}[:=][ \t]*)(?![ \t\"'\[\\])[^\r\n\"'\\]{1,4096}",
    re.IGNORECASE,
)
# A name and what stands between it and its value; the value is matched on its own, so
# that the value of a harmless name is searched for further names. A quoted name may
# be followed by a comma: header lists are lists of pairs.
NAME = re.compile(
    r"(?<![\w.\-])(?P<name>[\w.\-]+)"
    r"(?:\\?[\"']?\]?[ \t]{0,3}(?:=>|:=|[:=])[ \t]{0,3}|\\?[\"'][ \t]{0,3},[ \t]{0,3})"
)
OPTION = re.compile(r"(?<!\S)--?(?P<name>[A-Za-z][\w-]*)[ \t]{1,4}(?!-)(?=\S)")
ELEMENT = re.compile(r"(?<=<)(?P<name>[A-Za-z_][\w.:-]*)>(?=[^<]+</)")
SQL = re.compile(
    r"(?P<name>(?<!\w)(?:identified\s{1,4}by|password))(?P<gap>\s{1,4})"
    r"'(?:[^']|'')*'?",
    re.IGNORECASE,
)
VALUE = re.compile(
    r"\[redacted\]|b?\"(?:[^\"\\]|\\.)*\"?|b?'(?:[^'\\]|\\.)*'?"
    r"|\\\"[^\"\\]*(?:\\\")?|[^\s,;&\"'<>(){}\[\]\\]+",
    re.DOTALL,
)
CONTENT = re.compile(r"[^<]+")

# High security only: what may be a secret without looking like a known one.
LITERAL = re.compile(r"'[^'\n]{1,4096}'|\"[^\"\n]{1,4096}\"")
NUMBER = re.compile(r"(?<![\w.])\d(?:[ .-]?\d){5,}(?!\w)")
OPAQUE = re.compile(r"(?<![\w+/=-])(?=[\w+/=-]{0,100}\d)[\w+/=-]{20,}")
