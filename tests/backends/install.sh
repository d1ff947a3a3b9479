#!/usr/bin/env bash
# Installs the real backend servers that the tests in this folder start. Idempotent: what
# is there already is left alone. Everything comes by name from apt, npm or pip; files of
# our own go to $PROBEKIT_SERVERS (var/servers in the repository by default).
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
home=$(cd "$(dirname "$0")/../.." && pwd)
servers=${PROBEKIT_SERVERS:-$home/var/servers}
mkdir -p "$servers"

updated=
package_lists() {  # a new machine has none yet
    if [ -z "$updated" ]; then
        apt-get -o DPkg::Lock::Timeout=240 update >/dev/null
        updated=yes
    fi
}
apt_get() {  # several programs may want the package lock at once: wait for it
    package_lists
    apt-get -y --no-install-recommends -o DPkg::Lock::Timeout=240 "$@" >/dev/null
}
have() { command -v "$1" >/dev/null 2>&1; }
npm_package() {  # npm_package FOLDER NAME@VERSION
    if [ ! -d "$servers/$1/node_modules/${2%@*}" ]; then
        echo "» npm: $2"
        mkdir -p "$servers/$1"
        npm install --prefix "$servers/$1" --omit=optional --no-audit --no-fund \
            --loglevel=error "$2" >/dev/null
    fi
}

# statsd: the original server, fed by tests/backends/test_statsd.py
have node && have npm || { echo "» apt: nodejs npm"; apt_get install nodejs npm; }
npm_package statsd statsd@0.9.0

# rotel: an OTLP receiver, in the dependency group "backends" (tests/backends/test_otlp.py)

# the databases whose drivers are recorded (tests/backends/test_drivers.py)
have redis-server || { echo "» apt: redis-server"; apt_get install redis-server; }
have mariadbd || { echo "» apt: mariadb-server"; apt_get install mariadb-server; }
ls -d /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 ||
    { echo "» apt: postgresql"; apt_get install postgresql; }

# the time-series servers (tests/backends/timeseries.py)
for package in influxdb victoria-metrics graphite-carbon collectd-core rsyslog; do
    dpkg -s "$package" >/dev/null 2>&1 ||
        { echo "» apt: $package"; apt_get install "$package"; }
done

# prometheus, its gateway, victoria-metrics (tests/backends/test_prometheus.py)
for package in prometheus prometheus-pushgateway victoria-metrics; do
    have "$package" || { echo "» apt: $package"; apt_get install "$package"; }
done

# Grafana's types, against which its dashboards are checked (tests/center/test_grafana.py)
npm_package grafana @grafana/schema@13.2.3
npm_package grafana typescript@5

# graphite-web's render functions (tests/backends/graphite_web.py): unpacked only, for
# nobody needs its web server, its drawing and the time it takes to install them
if [ ! -d "$servers/graphite-web" ]; then
    echo "» apt: graphite-web, unpacked"
    packages=$(mktemp -d)
    download() {
        (cd "$packages" && apt-get -q download graphite-web python3-asgiref \
            python3-django python3-django-tagging python3-pyparsing python3-simplejson \
            python3-six python3-sqlparse python3-tz python3-urllib3 >/dev/null 2>&1)
    }
    download || { package_lists; download; }
    for package in "$packages"/*.deb; do dpkg -x "$package" "$servers/graphite-web"; done
    rm -rf "$packages"
fi

# the classic monitoring systems (tests/backends/monitors.py); apt starts nothing that a
# policy forbids, and every test starts its own
have zabbix_server || { echo "» apt: zabbix"; apt_get install zabbix-server-pgsql zabbix-agent; }
[ -e /usr/share/zabbix/api_jsonrpc.php ] && have php ||
    { echo "» apt: zabbix-frontend-php"; apt_get install zabbix-frontend-php php-cli; }
have nagios4 || { echo "» apt: nagios4-core"; apt_get install nagios4-core; }
have nsca || { echo "» apt: nsca"; apt_get install nsca nsca-client; }
have gmond || { echo "» apt: ganglia-monitor"; apt_get install ganglia-monitor; }

# noida-db and osmem, which speak Elasticsearch and OpenSearch (tests/backends/searchservers.py),
# are in the dependency group "backends"

# chdb, the engine of ClickHouse as a library (tests/backends/clickhouseserver.py), without
# the data frames that its wheel asks for and that an engine behind HTTP never touches
if [ ! -d "$servers/chdb/chdb" ]; then
    echo "» pip: chdb-core"
    "$home/.venv/bin/python" -m pip --quiet --disable-pip-version-check install \
        --no-deps --no-compile --target "$servers/chdb" chdb-core==26.9.0
fi

# the brokers (tests/backends/brokerservers.py); redis-server stands above
have nats-server || { echo "» apt: nats-server"; apt_get install nats-server; }
