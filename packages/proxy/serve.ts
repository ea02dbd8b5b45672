import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { Server as NetServer, type ListenOptions, type Socket } from 'node:net';
import { resolve } from 'node:path';
import { codeOf, DeployError, messageOf } from '@deploy-actions/core';
import { parseAddress } from './address.ts';
import { adminListener, metricsListener } from './admin.ts';
import { createBalancer } from './balancer.ts';
import { logPath, proxyVersion, readConfig, saveConfig, type ProxyConfig } from './config.ts';
import { createControl, type Control } from './control.ts';
import { forwardRequest, forwardUpgrade, isWebSocket, type ForwardContext } from './forward.ts';
import { createLogFile } from './log-file.ts';
import { createMetrics } from './metrics.ts';
import { adminSocketPath } from './socket-path.ts';

/**
 * Idle client connections are kept longer than the load balancers in front keep theirs (60 s is usual, Google's has
 * 600 s): whoever sends on a connection in the moment it is closed loses the request.
 */
const clientKeepAlive = 620_000;

/** How long a proxy that ends waits for clients to use their idle connections once more and read that they close. */
const announceTime = 1_000;

export interface RunningProxy {
  /** Stops accepting, announces the end on every connection, finishes what is in flight. */
  shutdown(): Promise<void>;
  /** Resolves when the proxy has ended. */
  closed: Promise<void>;
}

/**
 * Serves what `<stateDirectory>/proxy.json` says (see `prepareConfig`) until it is shut down. Errors: `not_found`
 * without a configuration, `start_failed` when an address cannot be listened on, and those of `readConfig`.
 */
export async function serveProxy(options: { stateDirectory: string }): Promise<RunningProxy> {
  const stateDirectory = resolve(options.stateDirectory);
  const config = await requiredConfig(stateDirectory);
  const log = createLogFile(logPath(stateDirectory));
  const balancer = createBalancer();
  balancer.use(config.targets);
  const metrics = createMetrics(() => balancer.inFlight());
  let control: Control | undefined;
  let ending: Promise<void> | undefined;
  const context: ForwardContext = {
    balancer,
    metrics,
    timeouts: config.timeouts,
    probeToken: config.probeToken,
    log: log.limited,
    closing: () => ending !== undefined,
  };
  const traffic = createServer(
    {
      keepAliveTimeout: clientKeepAlive,
      headersTimeout: 60_000,
      // An upload may take as long as it takes.
      requestTimeout: 0,
      maxHeaderSize: 32 * 1024,
      shouldUpgradeCallback: isWebSocket,
    },
    (request, response) => void forwardRequest(context, request, response),
  );
  traffic.on('upgrade', (request, socket, head) => {
    void forwardUpgrade(context, request, socket as Socket, head);
  });
  const admin = createServer();
  const scrape = createServer(metricsListener(metrics));
  const socket = adminSocketPath(stateDirectory);

  // Upgraded connections are no longer the HTTP server's, so it is not enough to ask it.
  const connections = new Set<Socket>();
  traffic.on('connection', (connection: Socket) => {
    connections.add(connection);
    connection.once('close', () => connections.delete(connection));
  });
  function endConnections(): void {
    log.write(`ending: ${connections.size} connections are cut`);
    for (const connection of connections) connection.destroy();
  }

  try {
    // The public address comes first: of two proxies only one gets it, and only that one may touch the socket.
    await listen(traffic, config.listen);
    if (config.metricsListen !== null) await listen(scrape, config.metricsListen);
    // Read again: until the address was free, the proxy that ran before could still write.
    const current = await requiredConfig(stateDirectory);
    balancer.use(current.targets);
    control = createControl(
      current,
      (next) => saveConfig(stateDirectory, next),
      (targets) => balancer.use(targets),
    );
    admin.on('request', adminListener({ control, balancer, metrics, shutdown: () => void shutdown() }));
    await rm(socket.path, { force: true });
    await listen(admin, { path: socket.path });
    await chmod(socket.path, 0o600);
  } catch (thrown) {
    for (const server of [admin, scrape, traffic]) server.close();
    socket.release();
    throw thrown;
  }
  log.write(`proxy ${proxyVersion}, process ${process.pid}, listens on ${config.listen}`);

  async function end(): Promise<void> {
    log.write('ending: no new connections');
    await control?.stop();
    // Closing the admin server removes its socket: before the public address is free and a successor may have made its own.
    const adminClosed = closed(admin);
    const scrapeClosed = closed(scrape);
    // Not http's close(), which cuts idle connections at once: a client may just be sending on one.
    const trafficClosed = new Promise<void>((done) => NetServer.prototype.close.call(traffic, () => done()));
    const sweep = setInterval(() => traffic.closeIdleConnections(), announceTime);
    const { shutdown: limit } = config.timeouts;
    const cut = limit === 0 ? undefined : setTimeout(() => endConnections(), limit);
    await trafficClosed;
    clearInterval(sweep);
    clearTimeout(cut);
    for (const server of [admin, scrape]) server.closeAllConnections();
    await Promise.all([adminClosed, scrapeClosed]);
    socket.release();
    log.write('ended');
  }

  const { promise, resolve: resolveClosed, reject } = Promise.withResolvers<void>();
  function shutdown(): Promise<void> {
    if (ending === undefined) {
      ending = end();
      ending.then(resolveClosed, reject);
    }
    return ending;
  }
  return { shutdown, closed: promise };
}

async function requiredConfig(stateDirectory: string): Promise<ProxyConfig> {
  const config = await readConfig(stateDirectory);
  if (config !== undefined) return config;
  throw new DeployError('not_found', `There is no proxy.json in ${stateDirectory}.`, {
    remedy: 'The router embedded-proxy writes it before it starts the proxy.',
  });
}

async function listen(server: Server, where: string | { path: string }): Promise<void> {
  const options: ListenOptions = typeof where === 'string' ? (parseAddress(where) ?? {}) : where;
  const name = typeof where === 'string' ? where : where.path;
  try {
    await new Promise<void>((done, failed) => {
      server.once('error', failed);
      // As many waiting connections as the kernel allows: a burst is to wait, not to be refused.
      server.listen({ ...options, backlog: 4_096 }, () => {
        server.off('error', failed);
        done();
      });
    });
  } catch (cause) {
    const code = codeOf(cause);
    const why =
      code === 'EADDRINUSE'
        ? 'another process listens there'
        : code === 'EACCES'
          ? 'this user may not'
          : messageOf(cause);
    throw new DeployError('start_failed', `The proxy cannot listen on ${name}: ${why}.`, {
      remedy:
        code === 'EADDRINUSE'
          ? `End that process (\`ss -ltnp\` names it), or give the proxy another address.`
          : 'Give the proxy another address, or the right to use this one.',
      cause,
    });
  }
}

function closed(server: Server): Promise<void> {
  return new Promise((done) => server.close(() => done()));
}
