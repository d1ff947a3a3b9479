"""Documents for Elasticsearch and OpenSearch."""
