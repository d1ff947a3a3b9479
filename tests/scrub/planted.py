"""Sixty made-up secrets, each with a text as programs write it.

They are put together from pieces, so that nobody takes them for real ones.
"""

import json
from urllib.parse import urlencode

HEX = "0123456789abcdef"
MIXED = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3gH5"


def _pem(kind):
    body = f"MIIEvQ{MIXED}\n{MIXED}"
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"


# (the secret that must not be found again, the text that holds it)
PLANTED = [
    ("hunter2!x", "login failed: password=hunter2!x"),
    ("hunter-3", "PASSWORD: hunter-3"),
    ("hunter_4", json.dumps({"user": "ann", "password": "hunter_4"})),
    ("hunter five", json.dumps({"passwd": "hunter five", "n": 1})),
    ("hunter6", str({"pwd": "hunter6"})),
    ("hunter7", "config['db_password'] = 'hunter7'"),
    ("hunter8", "DB_PASSWORD=hunter8 python app.py"),
    ("hunter9", "PGPASSWORD='hunter9'"),
    ("hunter10", "mysql --password hunter10 -u root"),
    ("hunter11", "mysql --password=hunter11 -u root"),
    ("hunter12", "CREATE USER ann IDENTIFIED BY 'hunter12'"),
    ("hunter13", "ALTER ROLE ann PASSWORD 'hunter13'"),
    ("hunter14", "<login><password>hunter14</password></login>"),
    ("hunter15", "Server=db;User Id=ann;Password=hunter15;"),
    ("hunter16", json.dumps(json.dumps({"password": "hunter16"}))),
    ("hunter17", urlencode({"user": "ann", "password": "hunter17"})),
    ("hunter18", "msg: retry with dbPassword=hunter18"),
    ("hunter19", "postgresql://ann:hunter19@db:5432/shop"),
    ("hunter20", "redis://:hunter20@cache:6379/0"),
    ("hun/ter21", "amqp://ann:hun/ter21@mq:5672//"),
    ("hun@ter22", "cannot reach mongodb://ann:hun@ter22@a:1,b:2/x"),
    ("hunter23", "ftp://hunter23@files.example.org/x"),
    ("t0k3n-aa", "https://h.example/x?access_token=t0k3n-aa&page=2"),
    ("t0k3n-bb", "https://h.example/cb#id_token=t0k3n-bb"),
    ("t0k3n-cc", "https://h.example/x?api_key=t0k3n-cc"),
    ("t0k3n-dd", "X-Api-Key: t0k3n-dd"),
    ("t0k3n-ee", "client_secret = t0k3n-ee"),
    ("t0k3n-ff", "csrfToken => t0k3n-ff"),
    ("t0k3n-gg", "token: t0k3n-gg"),
    ("t0k3n-hh", "{'refreshToken': 't0k3n-hh'}"),
    ("t0k3n-ii", "AccountName=a;AccountKey=t0k3n-ii;"),
    ("t0k3n-jj", "aws_secret_access_key=t0k3n-jj"),
    ("t0k3n-kk", "https://h.example/blob?sv=1&sig=t0k3n-kk"),
    ("t0k3n-ll", "X-Amz-Signature=t0k3n-ll"),
    ("t0k3n-mm", "[('Authorization', 'Bearer t0k3n-mm')]"),
    ("t0k3n-nn", "[(b'authorization', b'Token t0k3n-nn')]"),
    ("t0k3n-oo", "Authorization: Custom t0k3n-oo\r\nHost: h"),
    ("dXNlcjpwYXNz", "sent Basic dXNlcjpwYXNzd29yZA== to h"),
    ("t0k3n-pp", "Cookie: sid=t0k3n-pp; theme=dark"),
    ("t0k3n-qq", "Set-Cookie: id=t0k3n-qq; HttpOnly"),
    ("t0k3n-rr", "Proxy-Authorization: Basic t0k3n-rr"),
    ("abc123def456", "header was Bearer abc123def456"),
    ("t0k3n-ss", "sessionid=t0k3n-ss"),
    ("t0k3n-tt", "credentials: t0k3n-tt"),
    (MIXED[:20], f"got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx{MIXED[:20]}.{MIXED}"),
    ("IOSFODNN7EXAMPLE", "using AKIA" + "IOSFODNN7EXAMPLE for s3"),
    ("ABCDEFGH12345678", "using ASIA" + "ABCDEFGH12345678 for s3"),
    (MIXED, "push with ghp_" + MIXED),
    (MIXED, "push with github_pat_" + MIXED),
    (MIXED[:20], "clone with glpat-" + MIXED[:20]),
    ("123456789012", "xox" + "b-123456789012-abcdefghij"),
    (MIXED[:24], "posted to hooks.slack.com/" + "services/T0/B0/" + MIXED[:24]),
    (MIXED[:35], "maps key AIza" + MIXED[:35]),
    (MIXED[:24], "charge with sk_" + "live_" + MIXED[:24]),
    (MIXED[:24], "charge with rk_" + "test_" + MIXED[:24]),
    (MIXED, "model key sk-" + MIXED),
    (MIXED, "publish with npm_" + MIXED),
    (MIXED, _pem("RSA ")),
    (MIXED, "cut off: " + _pem("")[:-30]),
    ("ann.lee", "no such user ann.lee@mail.example.org"),
    ("4111111111111111", "card 4111111111111111 refused"),
    ("5500-0000-0000-0004", "card 5500-0000-0000-0004 refused at 12:30"),
    ("3400 000000 00009", "order 2026 3400 000000 00009 17 refused"),
    (HEX * 2, "mail sent with key-" + HEX * 2),
]
