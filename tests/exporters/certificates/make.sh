#!/usr/bin/env bash
# Makes the certificates beside this file, valid from 2020 to 2120. They protect
# nothing: their keys are public. Run it in this folder; the result is checked in.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/index"
cat >"$work/conf" <<CONF
[ca]
default_ca = it
[it]
database = $work/index
new_certs_dir = $work
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,digitalSignature
subjectKeyIdentifier = hash
CONF
request() {
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -subj "/CN=$1" -keyout "$1.key" -out "$work/$1.csr" 2>/dev/null
}
sign() {  # sign NAME END options...
    openssl ca -batch -notext -config "$work/conf" -in "$work/$1.csr" -out "$1.pem" \
        -startdate 20200101000000Z -enddate "$2" "${@:3}" 2>/dev/null
}
authority() {
    request "$1"
    sign "$1" 21200101000000Z -selfsign -keyfile "$1.key" -extensions authority
}
signed() {  # signed NAME SUBJECT_ALTERNATIVE_NAME END
    request "$1"
    printf 'basicConstraints=CA:FALSE\nsubjectAltName=%s\n' "$2" >"$work/extensions"
    sign "$1" "$3" -cert ca.pem -keyfile ca.key -extfile "$work/extensions"
}
authority ca
authority stranger
signed server DNS:localhost,IP:127.0.0.1 21200101000000Z
signed elsewhere DNS:elsewhere.example 21200101000000Z
signed client DNS:client 21200101000000Z
signed expired DNS:localhost,IP:127.0.0.1 20210101000000Z
rm -f ca.key stranger.key
