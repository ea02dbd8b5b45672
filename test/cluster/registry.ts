// A container registry on loopback: the pulling half of the OCI distribution specification, for a folder that images.ts fills.
// It stands for every registry: containerd says by `ns` which one it asks for.
//
//   node test/cluster/registry.ts --directory FOLDER --port PORT

import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { blobFile, tagFile } from './images.ts';

const digestPattern = /^sha256:[0-9a-f]{64}$/;

/** Listens on 127.0.0.1 with a log of requests on standard output. */
export function startRegistry(store: string, port: number): Promise<Server> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    response.once('finish', () => console.log(request.method, request.url, response.statusCode));
    const answered =
      request.method === 'GET' || request.method === 'HEAD'
        ? answer(store, url, request.method === 'HEAD', response)
        : Promise.resolve(refuse(response, 405, 'UNSUPPORTED'));
    answered.catch(() => response.destroy());
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', () => resolve(server));
  });
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ errors: [{ code, message: code.toLowerCase().replaceAll('_', ' ') }] }));
}

async function answer(store: string, url: URL, head: boolean, response: ServerResponse): Promise<void> {
  if (/^\/v2\/?$/.test(url.pathname)) return void response.writeHead(200).end('{}');
  const [, path = '', kind, reference = ''] =
    /^\/v2\/(.+)\/(manifests|blobs|tags)\/([^/]+)$/.exec(decodeURI(url.pathname)) ?? [];
  const repository = `${url.searchParams.get('ns') ?? 'docker.io'}/${path}`;
  if (kind === undefined) return refuse(response, 404, 'NAME_UNKNOWN');
  if (kind === 'tags') {
    const tags = await readdir(dirname(tagFile(store, repository, 'any'))).catch(() => []);
    response.writeHead(200, { 'content-type': 'application/json' });
    return void response.end(JSON.stringify({ name: path, tags: tags.map(decodeURIComponent) }));
  }
  const digest = digestPattern.test(reference)
    ? reference
    : await readFile(tagFile(store, repository, reference), 'utf8').catch(() => '');
  const missing = kind === 'blobs' ? 'BLOB_UNKNOWN' : 'MANIFEST_UNKNOWN';
  const size = digestPattern.test(digest)
    ? (await stat(blobFile(store, digest)).catch(() => undefined))?.size
    : undefined;
  if (size === undefined) return refuse(response, 404, missing);
  const type =
    kind === 'manifests'
      ? (JSON.parse(await readFile(blobFile(store, digest), 'utf8')) as { mediaType: string }).mediaType
      : 'application/octet-stream';
  response.writeHead(200, {
    'content-type': type,
    'content-length': size,
    'docker-content-digest': digest,
  });
  if (head) response.end();
  else createReadStream(blobFile(store, digest)).pipe(response);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { directory: { type: 'string' }, port: { type: 'string' } } });
  if (values.directory === undefined || values.port === undefined)
    throw new Error('usage: registry.ts --directory FOLDER --port PORT');
  await startRegistry(values.directory, Number(values.port));
  console.log(`serving ${values.directory} on 127.0.0.1:${values.port}`);
}
