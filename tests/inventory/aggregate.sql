-- One sweep's snapshot -> its dependencies. Only what every engine knows, so that it can run where the data is.
SELECT
    bucket,
    namespace,
    tenant,
    population,
    encryption,
    key,
    key_version,
    count(*) AS objects,
    CAST(least(sum(size), 9223372036854775807) AS BIGINT) AS bytes,
    CAST(sum(CASE WHEN archived THEN 1 ELSE 0 END) AS BIGINT) AS archived,
    min(modified) AS oldest,
    max(modified) AS newest,
    min(name) AS first_name,
    max(name) AS last_name
FROM snapshot
GROUP BY bucket, namespace, tenant, population, encryption, key, key_version
ORDER BY bucket, namespace, tenant, population, encryption, key, key_version
