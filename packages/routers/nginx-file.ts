import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { canonicalJson, DeployError, isRecord } from '@deploy-actions/core';
import { parseAddress, parseTargets } from '@deploy-actions/proxy';
import type { Target } from '@deploy-actions/release-engine';

/** Path on the private server that answers with the digest of the configuration in force. */
export const digestPath = '/-/deploy-actions/digest';
/** Set on answers of the private server: `<address of the instance> <seconds to its head, or - for none>`. */
export const upstreamHeader = 'x-deploy-actions-upstream';

export interface NginxBlock {
  targets: Target[];
  /** The fencing token of the run that wrote it. */
  fence: number;
  /** SHA-256 of the block. */
  digest: string;
}

export interface NginxFile {
  /** What users wrote before and after the block; kept byte for byte. */
  before: string;
  after: string;
  /** Undefined when the file has none yet. */
  block: NginxBlock | undefined;
}

export interface BlockSettings {
  upstreamName: string;
  /** An absolute path, or a loopback `host:port`. */
  verifySocket: string;
}

const schema = 1;
const begin = '# deploy-actions begin ';
const end = '# deploy-actions end\n';
/** Stands where the digest will, while the digest is computed. */
const undigested = 'sha256:';

/** The whole file with a new block in the place of the old one. */
export function renderFile(
  file: NginxFile,
  settings: BlockSettings,
  targets: Target[],
  fence: number,
): string {
  const draft = renderBlock(settings, targets, fence, undigested);
  const digest = digestOfText(draft);
  const gap = file.block === undefined && file.before !== '' && !file.before.endsWith('\n') ? '\n' : '';
  return file.before + gap + renderBlock(settings, targets, fence, digest) + file.after;
}

function renderBlock(settings: BlockSettings, targets: Target[], fence: number, digest: string): string {
  const { upstreamName, verifySocket } = settings;
  const listen = verifySocket.startsWith('/') ? `unix:${verifySocket}` : verifySocket;
  return `${begin}${canonicalJson({ schema, targets, fence, digest })}
# Written by deploy-actions, which refuses to go on when it was changed by hand. Lines outside of the block are yours.
upstream ${upstreamName} {
    zone ${upstreamName} 64k;
${serverLines(targets).join('\n')}
}
server {
    listen ${listen};
    access_log off;
    location = ${digestPath} {
        return 200 "${digest}";
    }
    location / {
        proxy_pass http://${upstreamName};
        proxy_next_upstream off;
        proxy_set_header Host $http_host;
        add_header ${upstreamHeader} "$upstream_addr $upstream_header_time" always;
    }
}
${end}`;
}

/**
 * nginx weighs servers, not slots: the share of a slot is split evenly among its instances, in the smallest integers
 * that do it. An upstream must not be empty, so without targets it has a server that is down.
 */
function serverLines(targets: Target[]): string[] {
  const served = targets.filter(({ weight }) => weight > 0);
  if (served.length === 0) return ['    server 127.0.0.1:1 down; # nothing is deployed yet'];
  const common = served.reduce((product, { addresses }) => leastCommonMultiple(product, addresses.length), 1);
  const weights = served.map(({ weight, addresses }) => (weight * common) / addresses.length);
  const divisor = weights.reduce(greatestCommonDivisor);
  return served.flatMap(({ slot, addresses }, index) =>
    addresses.map((address) => `    server ${address} weight=${(weights[index] ?? 0) / divisor}; # ${slot}`),
  );
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

function leastCommonMultiple(a: number, b: number): number {
  return (a * b) / greatestCommonDivisor(a, b);
}

/** Errors: `state_conflict` for a block that was changed by hand, `state_corrupt`, `state_too_new`. */
export function parseFile(text: string, path: string): NginxFile {
  const start = text.startsWith(begin) ? 0 : text.indexOf(`\n${begin}`) + 1;
  if (start === 0 && !text.startsWith(begin)) return { before: text, after: '', block: undefined };
  const stop = text.indexOf(end, start);
  if (stop === -1 || text.includes(`\n${begin}`, start)) {
    throw new DeployError(
      'state_corrupt',
      `${path} has no single block from "${begin.trim()}" to "${end.trim()}".`,
      {
        remedy: 'Restore the file, or remove what is left of the block and deploy again.',
      },
    );
  }
  const after = stop + end.length;
  const blockText = text.slice(start, after);
  return { before: text.slice(0, start), after: text.slice(after), block: parseBlock(blockText, path) };
}

function parseBlock(text: string, path: string): NginxBlock {
  let header: unknown;
  try {
    header = JSON.parse(text.slice(begin.length, text.indexOf('\n')));
  } catch {
    throw handEdited(path);
  }
  if (!isRecord(header)) throw handEdited(path);
  if (typeof header['schema'] === 'number' && header['schema'] > schema) {
    throw new DeployError(
      'state_too_new',
      `${path} was written with schema ${header['schema']}; this version knows ${schema}.`,
      {
        remedy: 'Use the version of the suite that wrote it, or a newer one.',
      },
    );
  }
  const { targets, fence, digest } = header;
  const known = Array.isArray(targets) && targets.length === 0 ? [] : parseTargets(targets);
  if (known === undefined || typeof fence !== 'number' || typeof digest !== 'string' || digest.length < 64) {
    throw handEdited(path);
  }
  if (digestOfText(text.replaceAll(digest, undigested)) !== digest) throw handEdited(path);
  return { targets: known, fence, digest };
}

function handEdited(path: string): DeployError {
  return new DeployError('state_conflict', `The block of deploy-actions in ${path} was changed by hand.`, {
    remedy:
      'Put your changes outside of the block and restore it (the file beside it that ends in .previous has the one before); or remove the block and deploy again.',
  });
}

export function digestOfText(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/** An instance as nginx writes it in `$upstream_addr`. */
export function upstreamAddress(host: string, port: number): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The problems of settings that would not fit into the file, in words for people. */
export function problemsOfSettings({ upstreamName, verifySocket }: BlockSettings): string[] {
  const problems: string[] = [];
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(upstreamName)) {
    problems.push(`the upstream name "${upstreamName}" must be letters, digits, ".", "_" or "-"`);
  }
  const address = parseAddress(verifySocket);
  const loopback = address?.host === '127.0.0.1' || address?.host === '::1';
  if (!loopback && !/^\/[A-Za-z0-9._/-]{1,106}$/.test(verifySocket)) {
    problems.push(
      `the verify socket "${verifySocket}" must be an absolute path of at most 107 letters, digits, ".", "_", "-" or "/", or a loopback host:port`,
    );
  }
  return problems;
}
