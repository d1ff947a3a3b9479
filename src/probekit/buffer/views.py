# ruff: noqa: S608 - every word of these statements is ours
"""What people and dashboards read: one view for each question.

Views are read by plain SQLite clients, so they call nothing but built-in functions.
"""

_TIME = "strftime('%Y-%m-%d %H:%M:%f', {} / 1e9, 'unixepoch')"


def _attribute(key: str) -> str:
    return f"json_extract(attributes, '$.\"{key}\"')"


VIEWS = {
    # Percentiles are those of the calls that succeeded (of all, when none did); where a
    # function has several series, their mean weighted by calls.
    "v_functions": f"""
        WITH call AS (
            SELECT {_attribute("code.function.name")} AS function, *,
                   {_attribute("error.type")} IS NOT NULL AS failed
            FROM series
            WHERE name = 'probekit.function.duration' AND count > 0
        ), shown AS (
            SELECT *, max(NOT failed) OVER (PARTITION BY function) = failed AS aside
            FROM call
        )
        SELECT function,
               sum(count) AS calls,
               sum(count * failed) AS errors,
               1.0 * sum(count * failed) / sum(count) AS error_ratio,
               sum(p50 * count) FILTER (WHERE NOT aside)
                   / sum(count) FILTER (WHERE NOT aside) AS p50,
               sum(p95 * count) FILTER (WHERE NOT aside)
                   / sum(count) FILTER (WHERE NOT aside) AS p95,
               sum(p99 * count) FILTER (WHERE NOT aside)
                   / sum(count) FILTER (WHERE NOT aside) AS p99,
               sum(sum) / sum(count) AS mean,
               max(max) AS max
        FROM shown GROUP BY function ORDER BY calls DESC""",
    "v_requests": f"""
        SELECT {_attribute("http.request.method")} AS method,
               {_attribute("http.route")} AS route,
               {_attribute("http.response.status_code")} AS status,
               {_attribute("error.type")} AS error_type,
               sum(count) AS requests,
               sum(p50 * count) / sum(count) AS p50,
               sum(p95 * count) / sum(count) AS p95,
               sum(p99 * count) / sum(count) AS p99,
               sum(sum) / sum(count) AS mean,
               max(max) AS max
        FROM series
        WHERE name = 'http.server.request.duration' AND count > 0
        GROUP BY method, route, status, error_type ORDER BY requests DESC""",
    "v_errors": f"""
        SELECT type, message, culprit, count,
               {_TIME.format("first_seen_unix_ns")} AS first_seen,
               {_TIME.format("last_seen_unix_ns")} AS last_seen,
               fingerprint, stack
        FROM problem ORDER BY count DESC""",
    "v_counters": f"""
        SELECT name, attributes, sum AS total, unit, kind, count AS updates,
               {_TIME.format("updated_unix_ns")} AS updated
        FROM series
        WHERE kind IN ('counter', 'up_down_counter')
              AND name NOT GLOB 'system.*' AND name NOT GLOB 'process.*'
              AND name NOT GLOB 'cpython.*'
        ORDER BY name, attributes""",
    "v_host": f"""
        SELECT name, attributes, CASE kind WHEN 'gauge' THEN last ELSE sum END AS value,
               unit, kind, {_TIME.format("updated_unix_ns")} AS updated
        FROM series
        WHERE name GLOB 'system.*' OR name GLOB 'process.*' OR name GLOB 'cpython.*'
        ORDER BY name, attributes""",
    "v_events": f"""
        SELECT number, {_TIME.format("time_unix_ns")} AS time, name, attributes,
               severity, body, trace_id, span_id
        FROM event ORDER BY number""",
    "v_delivery": f"""
        SELECT exporter, window AS delivered_window, event AS delivered_event,
               span AS delivered_span,
               (SELECT count(*) FROM window w WHERE w.id > cursor.window)
                   AS windows_waiting,
               (SELECT count(*) FROM event e WHERE e.number > cursor.event)
                   AS events_waiting,
               (SELECT count(*) FROM span s WHERE s.number > cursor.span)
                   AS spans_waiting,
               CASE WHEN delivered_unix_ns > 0
                    THEN {_TIME.format("delivered_unix_ns")} END AS delivered,
               last_error,
               (SELECT coalesce(sum(records), 0) FROM dead_letter d
                WHERE d.exporter = cursor.exporter) AS dead_letters
        FROM cursor ORDER BY exporter""",
}
