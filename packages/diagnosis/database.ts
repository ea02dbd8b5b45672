import { isRecord, lastLines, runProcess } from '@deploy-actions/core';

export interface DatabaseQuery {
  pid: number;
  state: string;
  /** Seconds since the query began. */
  seconds: number;
  /** Processes that it waits for. */
  blockedBy: number[];
  waitsFor: string;
  application: string;
  /** Without its values. */
  query: string;
}

export interface DatabaseFacts {
  connections: number;
  maxConnections: number;
  active: number;
  queries: DatabaseQuery[];
}

/* Of the database of the URL alone; the longest first. */
const statement = `
select json_build_object(
  'connections', (select count(*) from pg_stat_activity),
  'maxConnections', current_setting('max_connections')::int,
  'active', (select count(*) from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()),
  'queries', coalesce((select json_agg(q) from (
    select pid, coalesce(state, '') as state,
      round(extract(epoch from clock_timestamp() - query_start)::numeric, 1)::float8 as seconds,
      pg_blocking_pids(pid) as "blockedBy",
      coalesce(wait_event_type || '/' || wait_event, '') as "waitsFor",
      coalesce(application_name, '') as application, left(query, 2000) as query
    from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and state is not null and state <> 'idle'
    order by query_start limit 20) q), '[]'::json))
`;

/** A query without its values: they may be anybody's data. */
export function withoutValues(query: string): string {
  return query
    .replace(/\s+/g, ' ')
    .replace(/\$(\w*)\$[\s\S]*?(?:\$\1\$|$)/g, '…')
    .replace(/'(?:[^']|'')*(?:'|$)/g, '…')
    .replace(/(?<![\w$.])\d+(?:\.\d+)?\b/g, '…')
    .trim()
    .slice(0, 300);
}

/** The answer of {@link statement}; undefined when it is not that. */
export function parseDatabase(text: string): DatabaseFacts | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value) || !Array.isArray(value['queries'])) return undefined;
  const queries = value['queries'].filter(isRecord).map((row): DatabaseQuery => ({
    pid: Number(row['pid']),
    state: String(row['state']),
    seconds: Number(row['seconds'] ?? 0),
    blockedBy: Array.isArray(row['blockedBy']) ? row['blockedBy'].map(Number) : [],
    waitsFor: String(row['waitsFor']),
    application: String(row['application']),
    query: withoutValues(String(row['query'])),
  }));
  return {
    connections: Number(value['connections']),
    maxConnections: Number(value['maxConnections']),
    active: Number(value['active']),
    queries,
  };
}

/**
 * What a PostgreSQL database is doing, asked by psql in a read-only transaction. The URL goes by the environment: no list of
 * processes shows it. Throws `not_found` when psql is not on PATH; answers in words when it fails.
 */
export async function askDatabase(
  url: string,
  environment: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<DatabaseFacts | string> {
  let place: URL;
  try {
    place = new URL(url);
  } catch {
    return 'what is given is no URL';
  }
  if (!/^postgres(?:ql)?:$/.test(place.protocol)) {
    return `only PostgreSQL is asked for its queries, not ${place.protocol.replace(/:$/, '')}`;
  }
  const parameters = Object.fromEntries(place.searchParams);
  const { code, stdout, stderr } = await runProcess({
    command: ['psql', '--no-psqlrc', '--no-password', '--tuples-only', '--no-align', '--quiet', '--file=-'],
    input: `begin read only; set local statement_timeout = '5s';${statement}; commit;\n`,
    env: {
      ...environment,
      PGHOST: parameters['host'] ?? decodeURIComponent(place.hostname).replace(/^\[(.*)\]$/, '$1'),
      PGPORT: place.port || '5432',
      PGUSER: decodeURIComponent(place.username),
      PGPASSWORD: decodeURIComponent(place.password),
      PGDATABASE: decodeURIComponent(place.pathname.slice(1)),
      PGCONNECT_TIMEOUT: '5',
      PGAPPNAME: 'deploy-actions diagnose',
      ...(parameters['sslmode'] === undefined ? {} : { PGSSLMODE: parameters['sslmode'] }),
    },
    signal,
    timeout: 15_000,
  });
  if (code !== 0) return `psql failed: ${lastLines(stderr, 2).join(' ')}`;
  return parseDatabase(stdout) ?? 'the answer of psql cannot be read';
}
