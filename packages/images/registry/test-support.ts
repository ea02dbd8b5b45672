// A registry in memory, as the OCI distribution specification has it (https://github.com/opencontainers/distribution-spec/blob/main/spec.md),
// strict about what it is asked: what a client does against the specification is kept in `violations`.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { isDigest, manifestTypes, sha256Of } from './manifest.ts';

const namePattern = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagPattern = /^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/;

export interface DoubleOptions {
  /** Who may come in; undefined: everybody. `bearer` has a token server of its own, at /token. */
  auth?: { scheme: 'basic' | 'bearer'; username: string; password: string; refreshToken?: string };
  /** What can be deleted; default `tags`, which has manifests with it. */
  deletes?: 'tags' | 'manifests' | 'nothing';
  /** Whether it says Docker-Content-Digest; default true. */
  saysDigest?: boolean;
  /** Tags that it does not let be written again. */
  protectedTag?: (tag: string) => boolean;
}

interface StoredManifest {
  mediaType: string;
  body: Buffer;
}

interface StoredRepository {
  blobs: Map<string, Buffer>;
  manifests: Map<string, StoredManifest>;
  /** Tag to digest. */
  tags: Map<string, string>;
}

export interface RegistryDouble {
  /** `127.0.0.1:45678`. */
  readonly registry: string;
  readonly violations: string[];
  /** Method and path of every request, in order. */
  readonly requests: string[];
  /** Authorization headers that came, with the path. */
  readonly authorizations: { path: string; authorization: string | undefined }[];
  repository(path: string): StoredRepository;
  /** Stores a whole image of these platforms, and gives the digest of its index. */
  addImage(path: string, tag: string, platforms: readonly string[], content: string): string;
  /** Makes every token given so far worthless. */
  expireTokens(): void;
  stop(): Promise<void>;
}

export async function startRegistryDouble(options: DoubleOptions = {}): Promise<RegistryDouble> {
  const { auth, deletes = 'tags', saysDigest = true } = options;
  const repositories = new Map<string, StoredRepository>();
  const violations: string[] = [];
  const requests: string[] = [];
  const authorizations: RegistryDouble['authorizations'] = [];
  const tokens = new Map<string, Set<string>>();
  const uploads = new Set<string>();
  let registry = '';
  let counter = 0;

  function repository(path: string): StoredRepository {
    const found = repositories.get(path) ?? { blobs: new Map(), manifests: new Map(), tags: new Map() };
    repositories.set(path, found);
    return found;
  }

  const violate = (text: string) => void violations.push(text);
  const refuse = (response: ServerResponse, status: number, code: string, headers = {}) =>
    response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(JSON.stringify({ errors: [{ code, message: code.toLowerCase().replaceAll('_', ' ') }] }));

  /** `repository:path:right` for each right that the request needs. */
  function isAllowed(request: IncomingMessage, path: string, rights: string[]): boolean {
    if (auth === undefined) return true;
    const { authorization = '' } = request.headers;
    if (auth.scheme === 'basic') return authorization === basicOf(auth);
    const granted = tokens.get(authorization.replace(/^Bearer /, ''));
    return rights.every((right) => granted?.has(`repository:${path}:${right}`));
  }

  async function giveToken(request: IncomingMessage, url: URL, response: ServerResponse): Promise<void> {
    if (auth === undefined) return void refuse(response, 404, 'UNKNOWN');
    let { searchParams } = url;
    let known = request.headers.authorization === basicOf(auth);
    if (request.method === 'POST') {
      searchParams = new URLSearchParams((await buffer(request)).toString());
      known = auth.refreshToken !== undefined && searchParams.get('refresh_token') === auth.refreshToken;
      if (searchParams.get('grant_type') !== 'refresh_token') violate('token: no grant_type');
      if ((searchParams.get('client_id') ?? '') === '') violate('token: no client_id');
    }
    if (searchParams.get('service') !== 'double') violate('token: not the service of the challenge');
    if (request.headers.authorization !== undefined && !known)
      return void refuse(response, 401, 'UNAUTHORIZED');
    const granted = new Set<string>();
    for (const scope of searchParams.getAll('scope').flatMap((text) => text.split(' '))) {
      const parsed = /^repository:([^:]+):([a-z,]+)$/.exec(scope);
      if (parsed === null) violate(`token: scope ${scope}`);
      // Anonymous gets what is public: nothing here.
      for (const right of known ? (parsed?.[2] ?? '').split(',') : [])
        granted.add(`repository:${parsed?.[1]}:${right}`);
    }
    counter += 1;
    const token = `token-${counter}-${Math.random().toString(36).slice(2)}`;
    tokens.set(token, granted);
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ token, expires_in: 300 }));
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', headers } = request;
    const url = new URL(request.url ?? '/', `http://${registry}`);
    requests.push(`${method} ${url.pathname}`);
    authorizations.push({ path: url.pathname, authorization: headers.authorization });
    if (url.pathname === '/token') return giveToken(request, url, response);
    const [, path = '', kind = '', reference = ''] =
      /^\/v2\/(.+)\/(manifests|blobs|tags)\/(.*)$/.exec(url.pathname) ?? [];
    if (!namePattern.test(path)) {
      violate(`${method} ${url.pathname}: no name of a repository`);
      return void refuse(response, 400, 'NAME_INVALID');
    }
    const rights =
      method === 'GET' || method === 'HEAD' ? ['pull'] : method === 'DELETE' ? ['delete'] : ['push'];
    if (!isAllowed(request, path, rights)) {
      const challenge =
        auth?.scheme === 'basic'
          ? 'Basic realm="double"'
          : `Bearer realm="http://${registry}/token",service="double",scope="repository:${path}:${rights.join(',')}"`;
      return void refuse(response, 401, 'UNAUTHORIZED', { 'www-authenticate': challenge });
    }
    if (kind === 'manifests') return manifests(request, response, path, reference);
    if (kind === 'tags') return listTags(response, path, url);
    return blobs(request, response, path, reference, url);
  }

  /** Two on a page at most, so that a client has to follow the links. */
  function listTags(response: ServerResponse, path: string, url: URL): void {
    const after = url.searchParams.get('last') ?? '';
    const left = [...repository(path).tags.keys()].toSorted().filter((tag) => tag > after);
    const page = left.slice(0, 2);
    const link = `</v2/${path}/tags/list?n=2&last=${page.at(-1)}>; rel="next"`;
    response
      .writeHead(200, { 'content-type': 'application/json', ...(left.length > 2 && { link }) })
      .end(JSON.stringify({ name: path, tags: page }));
  }

  async function manifests(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    reference: string,
  ) {
    const { method = 'GET', headers } = request;
    const { tags, manifests: stored, blobs: blobsThere } = repository(path);
    if (!isDigest(reference) && !tagPattern.test(reference)) {
      violate(`${method}: ${reference} is neither tag nor digest`);
      return void refuse(response, 400, 'MANIFEST_INVALID');
    }
    const digest = isDigest(reference) ? reference : tags.get(reference);
    const found = digest === undefined ? undefined : stored.get(digest);
    if (method === 'GET' || method === 'HEAD') {
      if (found === undefined || digest === undefined) return void refuse(response, 404, 'MANIFEST_UNKNOWN');
      if (!(headers.accept ?? '').includes(found.mediaType))
        violate(`${method} without Accept for ${found.mediaType}`);
      response.writeHead(200, {
        'content-type': found.mediaType,
        'content-length': found.body.length,
        ...(saysDigest && { 'docker-content-digest': digest }),
      });
      return void response.end(method === 'GET' ? found.body : undefined);
    }
    if (method === 'DELETE') {
      if (deletes === 'nothing' || (!isDigest(reference) && deletes !== 'tags'))
        return void refuse(response, 405, 'UNSUPPORTED');
      if (found === undefined) return void refuse(response, 404, 'MANIFEST_UNKNOWN');
      if (isDigest(reference)) stored.delete(reference);
      for (const [tag, to] of tags) if (tag === reference || to === reference) tags.delete(tag);
      return void response.writeHead(202).end();
    }
    if (method !== 'PUT') return void refuse(response, 405, 'UNSUPPORTED');
    const body = await buffer(request);
    const type = headers['content-type'] ?? '';
    const parsed = JSON.parse(body.toString()) as {
      mediaType?: string;
      manifests?: { digest: string }[];
      config?: { digest: string };
      layers?: { digest: string }[];
    };
    if (!manifestTypes.includes(type)) violate(`PUT with Content-Type ${type}`);
    if (parsed.mediaType !== undefined && parsed.mediaType !== type)
      violate(`PUT of ${parsed.mediaType} as ${type}`);
    const own = sha256Of(body);
    if (isDigest(reference) && reference !== own) return void refuse(response, 400, 'DIGEST_INVALID');
    const absent =
      parsed.manifests?.some(({ digest: child }) => !stored.has(child)) ??
      [parsed.config, ...(parsed.layers ?? [])].some(
        (part) => part === undefined || !blobsThere.has(part.digest),
      );
    if (absent) return void refuse(response, 404, 'MANIFEST_BLOB_UNKNOWN');
    if (options.protectedTag?.(reference) === true && tags.has(reference))
      return void refuse(response, 403, 'DENIED');
    stored.set(own, { mediaType: type, body });
    if (!isDigest(reference)) tags.set(reference, own);
    response
      .writeHead(201, {
        location: `/v2/${path}/manifests/${own}`,
        ...(saysDigest && { 'docker-content-digest': own }),
      })
      .end();
  }

  async function blobs(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    reference: string,
    url: URL,
  ) {
    const { method = 'GET' } = request;
    const { blobs: stored } = repository(path);
    if (method === 'POST' && reference === 'uploads/') {
      counter += 1;
      uploads.add(String(counter));
      return void response.writeHead(202, { location: `/v2/${path}/blobs/uploads/${counter}?state=x` }).end();
    }
    if (method === 'PUT') {
      const body = await buffer(request);
      const upload = reference.replace(/^uploads\//, '');
      if (!uploads.has(upload)) return void refuse(response, 404, 'BLOB_UPLOAD_UNKNOWN');
      if (url.searchParams.get('state') !== 'x') violate('PUT of a blob without the query of its Location');
      const digest = url.searchParams.get('digest') ?? '';
      if (digest !== sha256Of(body)) return void refuse(response, 400, 'DIGEST_INVALID');
      uploads.delete(upload);
      stored.set(digest, body);
      return void response.writeHead(201, { location: `/v2/${path}/blobs/${digest}` }).end();
    }
    if (!isDigest(reference)) violate(`${method}: ${reference} is no digest of a blob`);
    const body = stored.get(reference);
    if (body === undefined) return void refuse(response, 404, 'BLOB_UNKNOWN');
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': body.length });
    response.end(method === 'GET' ? body : undefined);
  }

  const server = createServer((request, response) => {
    serve(request, response).catch((thrown: unknown) => {
      violate(String(thrown));
      response.destroy();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  registry = `127.0.0.1:${(server.address() as AddressInfo).port}`;

  function addImage(path: string, tag: string, platforms: readonly string[], content: string): string {
    const { blobs: stored, manifests: all, tags } = repository(path);
    const keep = (text: string) => {
      const body = Buffer.from(text);
      stored.set(sha256Of(body), body);
      return { digest: sha256Of(body), size: body.length };
    };
    const keepManifest = (mediaType: string, value: object) => {
      const body = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...value }));
      all.set(sha256Of(body), { mediaType, body });
      return { mediaType, digest: sha256Of(body), size: body.length };
    };
    const children = platforms.map((platform) => {
      const [os, architecture, variant] = platform.split('/');
      const shape = { os, architecture, ...(variant !== undefined && { variant }) };
      const config = keep(
        JSON.stringify({ ...shape, config: { Labels: { 'org.opencontainers.image.version': content } } }),
      );
      const layer = keep(`layer of ${content} for ${platform}`);
      const image = keepManifest('application/vnd.oci.image.manifest.v1+json', {
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
        layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...layer }],
      });
      return { ...image, platform: shape };
    });
    const { digest } = keepManifest('application/vnd.oci.image.index.v1+json', { manifests: children });
    tags.set(tag, digest);
    return digest;
  }

  return {
    get registry() {
      return registry;
    },
    violations,
    requests,
    authorizations,
    repository,
    addImage,
    expireTokens: () => tokens.clear(),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function basicOf({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
