/** Whether a pod reaches what a variable of its environment names. Host and port only: the rest of it stays in the pod. */
export interface Reach {
  pod: string;
  container: string;
  variable: string;
  host: string;
  port: number;
  state: 'reachable' | 'refused' | 'unknown-name' | 'unreachable';
}

const variables = [
  'DATABASE_URL',
  'DB_URL',
  'POSTGRES_URL',
  'MYSQL_URL',
  'MONGODB_URI',
  'REDIS_URL',
  'CACHE_URL',
  'CELERY_BROKER_URL',
  'BROKER_URL',
  'AMQP_URL',
  'RABBITMQ_URL',
  'ELASTICSEARCH_URL',
];
/** Pairs of host and port, with the port where none is given. */
const pairs: [string, string, number][] = [
  ['DB_HOST', 'DB_PORT', 5432],
  ['DATABASE_HOST', 'DATABASE_PORT', 5432],
  ['POSTGRES_HOST', 'POSTGRES_PORT', 5432],
  ['PGHOST', 'PGPORT', 5432],
  ['MYSQL_HOST', 'MYSQL_PORT', 3306],
  ['REDIS_HOST', 'REDIS_PORT', 6379],
];
const ports = {
  postgres: 5432,
  postgresql: 5432,
  postgis: 5432,
  mysql: 3306,
  mariadb: 3306,
  redis: 6379,
  rediss: 6379,
  mongodb: 27017,
  amqp: 5672,
  amqps: 5671,
  http: 80,
  https: 443,
};

const python = `
import os, re, socket
known = ${JSON.stringify(ports)}
found = []
for name in ${JSON.stringify(variables)}:
    value = os.environ.get(name, '')
    scheme, mark, rest = value.partition('://')
    if not mark: continue
    place = re.split('[/?#]', rest, maxsplit=1)[0].rpartition('@')[2].split(',')[0]
    match = re.fullmatch(r'(\\[[0-9A-Fa-f:]+\\]|[A-Za-z0-9._-]+)(?::([0-9]+))?', place)
    port = match and int(match.group(2) or known.get(scheme.split('+')[0].lower(), 0))
    if port: found.append((name, match.group(1).strip('[]'), port))
for name, second, otherwise in ${JSON.stringify(pairs)}:
    host = os.environ.get(name, '')
    port = os.environ.get(second, '') or str(otherwise)
    if re.fullmatch('[A-Za-z0-9._:-]+', host) and port.isdigit(): found.append((name, host, int(port)))
for name, host, port in found:
    try:
        socket.create_connection((host, port), 3).close()
        state = 'reachable'
    except socket.gaierror: state = 'unknown-name'
    except ConnectionRefusedError: state = 'refused'
    except Exception: state = 'unreachable'
    print('REACH', name, host, port, state, flush=True)
print('DONE', flush=True)
`;

const shellPorts = Object.entries(ports)
  .map(([scheme, port]) => `${scheme}) p=${port};;`)
  .join(' ');

/* No program of the pod is given a value of its environment but host and port. */
const shell = `
look() {
  if command -v nc >/dev/null 2>&1; then t=nc
  elif command -v bash >/dev/null 2>&1; then t=bash
  else echo NOTOOL; exit 0; fi
  if [ $t = nc ]; then m=$(nc -w 3 "$2" "$3" </dev/null 2>&1 >/dev/null); c=$?
  else m=$(timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$2" "$3" 2>&1); c=$?; fi
  s=unreachable
  if [ $c -eq 0 ]; then s=reachable
  else case "$m" in
    *efused*) s=refused;;
    *"not known"*|*"bad address"*|*"name resolution"*|*"not resolve"*) s=unknown-name;;
  esac; fi
  echo REACH "$1" "$2" "$3" $s
}
url() {
  case "$2" in *://*) ;; *) return;; esac
  n=\${2%%://*}; n=\${n%%+*}; r=\${2#*://}; r=\${r%%[/?#]*}; r=\${r##*@}; r=\${r%%,*}
  h=\${r%:*}; p=\${r##*:}
  if [ "$h" = "$r" ]; then h=$r; case "$n" in ${shellPorts} *) p=;; esac; fi
  case "$p" in ''|*[!0-9]*) return;; esac
  case "$h" in ''|*[!A-Za-z0-9._-]*) return;; esac
  look "$1" "$h" "$p"
}
${variables.map((name) => `url ${name} "$${name}"`).join('\n')}
${pairs.map(([host, port, otherwise]) => `[ -n "$${host}" ] && url ${host} "tcp://$${host}:\${${port}:-${otherwise}}"`).join('\n')}
echo DONE
`;

/**
 * Commands to try in a container, until one is there: they connect to what the environment names, and print host, port and
 * what came of it, never a credential.
 */
export const reachCommands: readonly (readonly string[])[] = [
  ['python3', '-c', python],
  ['sh', '-c', shell],
];

const line = /^REACH ([A-Z_]+) ([A-Za-z0-9._:-]+) (\d{1,5}) (reachable|refused|unknown-name|unreachable)$/;

/** What a command of {@link reachCommands} printed; undefined when it did not come to its end. */
export function parseReach(pod: string, container: string, output: string): Reach[] | undefined {
  const lines = output.split(/\r?\n/);
  if (!lines.includes('DONE')) return undefined;
  const found = new Map<string, Reach>();
  for (const text of lines) {
    const [, variable = '', host = '', port = '', state = ''] = line.exec(text) ?? [];
    if (variable === '') continue;
    const key = `${host}:${port}`;
    const known = found.get(key);
    found.set(key, {
      pod,
      container,
      variable: known === undefined ? variable : `${known.variable}, ${variable}`,
      host,
      port: Number(port),
      state: state as Reach['state'],
    });
  }
  return [...found.values()];
}
