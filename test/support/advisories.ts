import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

/** What the double answers instead of advisories. */
export type AdvisoryFault = 'none' | 'refuses' | 'resets' | 'nonsense';

export interface AdvisoryService {
  url: string;
  /** Method and path of every request. */
  asked: string[];
  fault: AdvisoryFault;
  close(): Promise<void>;
}

/** A service of our own with invented advisories about real packages: npm's bulk endpoint, metadata of packages, and OSV. */
const advisories: Record<string, object[]> = {
  lodash: [advisory(1, 'GHSA-p6mc-m468-83gw', 'Prototype pollution in lodash', 'high', '>=3.7.0 <4.17.19')],
  minimist: [advisory(2, 'GHSA-xvch-5gv4-984h', 'Prototype pollution in minimist', 'critical', '<0.2.4')],
};

function advisory(id: number, ghsa: string, title: string, severity: string, range: string): object {
  const url = `https://github.com/advisories/${ghsa}`;
  return {
    id,
    url,
    title,
    severity,
    vulnerable_versions: range,
    cwe: [],
    cvss: { score: 0, vectorString: null },
  };
}

const versions: Record<string, Record<string, Record<string, string>>> = {
  lodash: { '4.17.15': {}, '4.17.21': {} },
  minimist: { '0.0.8': {}, '1.2.8': {} },
  optimist: { '0.6.1': { minimist: '0.0.8' } },
  mkdirp: { '0.5.1': { minimist: '0.0.8' }, '0.5.6': { minimist: '^1.2.6' } },
};

/** By the id of GitHub, as OSV writes it. */
const ratings: Record<string, string> = {
  'GHSA-8r7q-cvjq-x353': 'MODERATE',
  'GHSA-gq9m-qvpx-68hc': 'HIGH',
  'GHSA-fqh9-2qgg-h84h': 'CRITICAL',
};

/** What OSV says of a package of PyPI, in the versions that are listed. */
const pypi: Record<
  string,
  { id: string; aliases: string[]; summary: string; fixed: string; versions: string[] }
> = {
  jinja2: {
    id: 'PYSEC-2014-8',
    aliases: ['CVE-2014-1402', 'GHSA-8r7q-cvjq-x353'],
    summary: 'The cache of bytecode is in a folder that others can write to.',
    fixed: '2.7.2',
    versions: ['2.4.1'],
  },
  werkzeug: {
    id: 'GHSA-gq9m-qvpx-68hc',
    aliases: ['CVE-2019-14806'],
    summary: 'The PIN of the debugger is the same in every container.',
    fixed: '0.15.3',
    versions: ['0.11'],
  },
  pillow: {
    id: 'GHSA-fqh9-2qgg-h84h',
    aliases: ['CVE-2021-25289'],
    summary: 'An image can write beyond the end of a buffer.',
    fixed: '8.1.1',
    versions: ['8.0.1'],
  },
};

/** The answer to `POST /v1/query`; an empty object when nothing is known. */
function queryOsv(body: string): object {
  const { package: asked, version } = JSON.parse(body) as {
    package: { name: string; ecosystem: string };
    version: string;
  };
  const found = asked.ecosystem === 'PyPI' ? pypi[asked.name] : undefined;
  if (found === undefined || !found.versions.includes(version)) return {};
  const { id, aliases, summary, fixed } = found;
  const ranges = [{ type: 'ECOSYSTEM', events: [{ introduced: '0' }, { fixed }] }];
  const affected = [{ package: asked, ranges, versions: found.versions }];
  return { vulns: [{ schema_version: '1.4.0', id, aliases, summary, affected }] };
}

function metadataOf(name: string, of: Record<string, Record<string, string>>): object {
  const all = Object.entries(of).map(([version, dependencies]): [string, unknown] => [
    version,
    { name, version, dependencies, dist: { tarball: 'http://127.0.0.1/none.tgz' } },
  ]);
  const listed: Record<string, unknown> = Object.fromEntries(all);
  return { name, 'dist-tags': { latest: Object.keys(of).at(-1) }, versions: listed };
}

function answerTo(path: string, body: string): object | undefined {
  if (path.endsWith('/advisories/bulk')) {
    const asked = Object.keys(JSON.parse(body) as object);
    return Object.fromEntries(asked.flatMap((name) => (advisories[name] ? [[name, advisories[name]]] : [])));
  }
  if (path === '/v1/query') return queryOsv(body);
  const rating = ratings[/^\/v1\/vulns\/(.+)$/.exec(path)?.[1] ?? ''];
  if (rating !== undefined) return { database_specific: { severity: rating } };
  const name = path.slice(1);
  return versions[name] === undefined ? undefined : metadataOf(name, versions[name]);
}

/** Starts it on a free port of loopback. */
export async function startAdvisories(): Promise<AdvisoryService> {
  const service: AdvisoryService = { url: '', asked: [], fault: 'none', close: () => close(server) };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const path = request.url ?? '';
      service.asked.push(`${request.method} ${path}`);
      if (service.fault === 'resets') return void request.socket.destroy();
      if (service.fault === 'refuses') return void response.writeHead(405).end();
      if (service.fault === 'nonsense') return void response.end('<html>');
      const sent = Buffer.concat(chunks);
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
      const answer = answerTo(path, body.toString());
      if (answer === undefined) response.writeHead(404).end('{}');
      else response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  service.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return service;
}

function close(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
