import {
  type InputSpecs,
  type InputValues,
  parseImageReference,
  type Problem,
} from '@deploy-actions/action-kit';
import { secretsOf } from '@deploy-actions/core';
import type { MetricSourceConfig } from '@deploy-actions/metrics';

/** Those of the registry, without loading it: inputs are judged before any other code is loaded. */
const metricSources = ['scrape', 'prometheus'] as const satisfies readonly MetricSourceConfig['kind'][];

export const platforms = ['linux-host', 'kubernetes'] as const;
export const routers = ['embedded-proxy', 'nginx', 'service-selector'] as const;

const name = {
  pattern: /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
  allowed: 'lower-case letters, digits and hyphens, up to 63, not starting or ending with a hyphen',
};
const hostPort = {
  pattern: /^(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\]):\d{1,5}$/,
  allowed: 'host:port, such as 127.0.0.1:8080 or 0.0.0.0:80',
};

/** Where a release goes: the same inputs on every action that reads or changes what is deployed. */
export const targetInputs = {
  app: {
    kind: 'string',
    ...name,
    required: true,
    description: 'The name of the application. State is kept by application and environment.',
    example: 'helpdesk',
    config: 'app',
  },
  environment: {
    kind: 'string',
    ...name,
    required: true,
    description: 'The environment to release to. One release at a time runs in each.',
    example: 'production',
  },
  platform: {
    kind: 'enum',
    values: platforms,
    required: true,
    description: 'Where versions run.',
    example: 'linux-host',
    config: 'platform',
  },
  router: {
    kind: 'enum',
    values: routers,
    required: true,
    description: 'What decides which version gets the traffic.',
    example: 'embedded-proxy',
    config: 'router.type',
  },
  'state-directory': {
    kind: 'path',
    within: 'host',
    description:
      'The folder on the host that keeps journal, lease, history and slots. Default: `/var/lib/deploy-actions/<app>/<environment>` as root, else `~/.local/state/deploy-actions/<app>/<environment>`.',
    config: 'state-directory',
  },
  state: {
    kind: 'enum',
    values: ['platform', 'git-ref'],
    description:
      'Where lease, journal, ledger and freeze are kept: `platform` is the place that the platform has, on a Linux host the state folder; `git-ref` is `refs/deploy-actions/<environment>` of the repository, for hosts whose disk is not kept, and to be read from any runner. It needs `contents: write`. Choose before the first release.',
    default: 'platform',
    config: 'state',
  },
  listen: {
    kind: 'string',
    ...hostPort,
    description: 'Router `embedded-proxy`: the address that it serves at.',
    example: '127.0.0.1:8080',
    config: 'router.listen',
  },
  'metrics-listen': {
    kind: 'string',
    ...hostPort,
    description: 'Router `embedded-proxy`: a loopback address that serves its `/metrics` too.',
    example: '127.0.0.1:9180',
    config: 'router.metrics-listen',
  },
  'verify-path': {
    kind: 'string',
    pattern: /^\/[\x21-\x7e]*$/,
    allowed: 'a path that begins with /',
    description: 'The path asked through the router to see which version answers.',
    default: '/',
    config: 'router.verify-path',
  },
  'nginx-upstream-file': {
    kind: 'path',
    within: 'host',
    description:
      'Router `nginx`: the file with the upstream that your nginx.conf includes at `http` level. The suite owns it.',
    example: '/etc/nginx/conf.d/helpdesk-upstream.conf',
    config: 'router.nginx.upstream-file',
  },
  'nginx-upstream-name': {
    kind: 'string',
    pattern: /^[A-Za-z_][A-Za-z0-9_-]*$/,
    allowed: 'letters, digits, hyphens and underscores',
    description:
      'Router `nginx`: the name of the upstream, as `proxy_pass http://<name>` says it. Default: `app`.',
    example: 'helpdesk',
    config: 'router.nginx.upstream-name',
  },
  'nginx-command': {
    kind: 'command',
    description: 'Router `nginx`: how nginx is run for tests and reloads, with its options.',
    default: 'nginx',
    config: 'router.nginx.command',
  },
  'nginx-pid-file': {
    kind: 'path',
    within: 'host',
    description: "Router `nginx`: the file with the master process's id.",
    default: '/run/nginx.pid',
    config: 'router.nginx.pid-file',
  },
} as const satisfies InputSpecs;

/** How an action talks to GitHub: for state on a git reference, and for what it reports. */
export const githubInputs = {
  'github-token': {
    kind: 'secret',
    description:
      'The token for calls to GitHub: state on a git reference (`state: git-ref`), and what is reported to GitHub.',
    expression: '${{ github.token }}',
  },
} as const satisfies InputSpecs;

/** What a release is on a Linux host. */
export const linuxHostInputs = {
  version: {
    kind: 'string',
    pattern: /^[A-Za-z0-9][\w.+-]{0,127}$/,
    allowed: 'letters, digits, dots, hyphens, underscores and +, up to 128',
    required: true,
    description: 'The version to release, such as a tag or a commit SHA.',
    example: '${{ github.sha }}',
  },
  directory: {
    kind: 'path',
    within: 'host',
    required: true,
    description:
      'The folder with the release; `{version}` in it is the version. It has to stay for as long as the version may be gone back to.',
    example: '/srv/helpdesk/releases/{version}',
    config: 'linux-host.directory',
  },
  command: {
    kind: 'command',
    required: true,
    description: 'Starts one instance, without a shell; `{port}` is its port, which is also in `PORT`.',
    example: 'gunicorn config.wsgi --bind 127.0.0.1:{port}',
    config: 'linux-host.command',
  },
  env: {
    kind: 'map',
    description:
      'Environment variables of the application, one `NAME=value` a line. They are kept in the state folder (mode 0600); for secrets, `env-file` keeps them out of it.',
    example: 'DJANGO_SETTINGS_MODULE=config.settings.production',
    config: 'linux-host.env',
  },
  'env-file': {
    kind: 'path',
    within: 'host',
    description:
      'A file on the host with `NAME=value` lines, read whenever an instance is started. Only its path is kept.',
    example: '/etc/helpdesk/production.env',
    config: 'linux-host.env-file',
  },
  instances: {
    kind: 'integer',
    min: 1,
    max: 64,
    description: 'How many instances of a version run.',
    default: '1',
    config: 'linux-host.instances',
  },
  'port-range': {
    kind: 'string',
    pattern: /^\d{1,5}-\d{1,5}$/,
    allowed: 'two ports, such as 8100-8199',
    description: 'The ports that instances may listen on. Room for two versions is needed.',
    default: '8100-8199',
    config: 'linux-host.port-range',
  },
  'readiness-path': {
    kind: 'string',
    pattern: /^\/[\x21-\x7e]*$/,
    allowed: 'a path that begins with /',
    description:
      'Answers 2xx or 3xx when an instance is ready. Without it, ready is when the port is open; on Kubernetes, what the readiness probe of the pod asks.',
    example: '/health/',
    config: 'linux-host.readiness-path',
  },
  'stop-timeout': {
    kind: 'duration',
    max: '1h',
    description: 'The time an instance has to end after SIGTERM.',
    default: '30s',
    config: 'linux-host.stop-timeout',
  },
} as const satisfies InputSpecs;

/** What is kept with a release in the ledger, and how a frozen environment is released to all the same. */
export const ledgerInputs = {
  images: {
    kind: 'map',
    description:
      'The images that the release consists of, one `name=reference` a line, best with digests. Kept in the ledger.',
    example: 'backend=ghcr.io/acme/helpdesk-backend@sha256:…',
    config: 'images',
  },
  notes: {
    kind: 'map',
    description:
      'What else is to be kept with the release in the ledger, one `name=value` a line. `migration` is the state of the database. Never secrets.',
    example: 'migration=tickets.0042_add_index',
  },
  'break-freeze': {
    kind: 'string',
    description:
      'Releases to a frozen environment all the same, for this reason; it is recorded in the audit and in the ledger.',
    example: 'Hotfix for the outage of the login page',
  },
} as const satisfies InputSpecs;

/** Needed to start, stop and watch versions, whatever they are. */
export const deliveryInputs = {
  supervisor: {
    kind: 'enum',
    values: ['auto', 'process', 'systemd'],
    description:
      'Platform `linux-host`: whether instances are detached processes or systemd units. `auto` takes systemd where it runs.',
    default: 'auto',
    config: 'linux-host.supervisor',
  },
  'ready-timeout': {
    kind: 'duration',
    min: '1s',
    max: '6h',
    description: 'The time a new version has to become ready.',
    default: '5m',
    config: 'ready-timeout',
  },
  'verify-timeout': {
    kind: 'duration',
    min: '1s',
    max: '1h',
    description: 'The time the router has to follow a change of traffic.',
    default: '30s',
    config: 'verify-timeout',
  },
  'drain-timeout': {
    kind: 'duration',
    max: '6h',
    description: 'The time that requests to the version without traffic have to finish.',
    default: '1m',
    config: 'drain-timeout',
  },
  'keep-previous': {
    kind: 'boolean',
    description: 'Whether the old version goes on running without traffic, for an instant rollback.',
    default: 'true',
    config: 'keep-previous',
  },
  'lock-timeout': {
    kind: 'duration',
    max: '6h',
    description: 'How long to wait for another release of the same environment to end.',
    default: '0',
    config: 'lock-timeout',
  },
  'probe-url': {
    kind: 'url',
    description:
      'A URL that is asked at a constant rate during the release, to prove in the summary that no request was lost.',
    example: 'https://helpdesk.example.com/health/',
    config: 'probe.url',
  },
  'environment-url': {
    kind: 'url',
    description:
      'Where people see the environment; linked from its deployments on GitHub. Default: the site of `probe-url`, unless only this host can see it.',
    example: 'https://helpdesk.example.com/',
    config: 'environment-url',
  },
  'probe-rate': {
    kind: 'integer',
    min: 1,
    max: 200,
    description: 'Probe requests a second.',
    default: '10',
    config: 'probe.rate',
  },
  'dry-run': {
    kind: 'boolean',
    description: 'Prints the plan (what is, what will be, each write) and writes nothing.',
    default: 'false',
  },
} as const satisfies InputSpecs;

/** The limits that a version is judged by, and where the figures come from. */
export const limitInputs = {
  'max-error-rate': {
    kind: 'percentage',
    description: 'The share of server errors that a version may have, in percent.',
    default: '5',
    config: 'analysis.max-error-rate',
  },
  'max-response-time': {
    kind: 'duration',
    min: '1ms',
    description: 'The response time that a version may have, at `response-time-percentile`.',
    default: '1s',
    config: 'analysis.max-response-time',
  },
  'response-time-percentile': {
    kind: 'integer',
    min: 1,
    max: 99,
    description: 'The percentile of the response time that is held against its limit.',
    default: '95',
    config: 'analysis.response-time-percentile',
  },
  'min-requests': {
    kind: 'integer',
    min: 1,
    max: 1_000_000,
    description: 'How many requests a good verdict needs. Fewer are inconclusive.',
    default: '50',
    config: 'analysis.min-requests',
  },
  strict: {
    kind: 'boolean',
    description: 'Whether the whole confidence interval has to be under the limit, not only the estimate.',
    default: 'false',
    config: 'analysis.strict',
  },
  confidence: {
    kind: 'percentage',
    description: 'The confidence that a verdict before the end of a window needs, in percent.',
    default: '99',
    config: 'analysis.confidence',
  },
  'on-inconclusive': {
    kind: 'enum',
    values: ['hold', 'fail', 'pass'],
    description:
      'What to do without a verdict at the end of a window: `hold` waits for more data up to `hold-timeout` and then counts as not passed, `fail` does not wait, `pass` goes on.',
    default: 'hold',
    config: 'analysis.on-inconclusive',
  },
  'hold-timeout': {
    kind: 'duration',
    max: '6h',
    description: 'How long `hold` waits for more data beyond the window.',
    default: '10m',
    config: 'analysis.hold-timeout',
  },
  'analysis-interval': {
    kind: 'duration',
    min: '200ms',
    max: '10m',
    description: 'The time between two looks at the figures.',
    default: '5s',
    config: 'analysis.interval',
  },
  metrics: {
    kind: 'enum',
    values: metricSources,
    description:
      'Where the figures come from: `scrape` reads `metrics-url` itself, `prometheus` asks the server at `prometheus-url`.',
    default: 'scrape',
    config: 'analysis.metrics',
  },
  'metrics-url': {
    kind: 'list',
    description:
      'Prometheus text endpoints, comma-separated, of all that serve the version: `http(s)://…` or `unix:/path/to/socket:/metrics`. Default: the metrics of the embedded proxy.',
    example: 'http://127.0.0.1:9180/metrics',
    config: 'analysis.metrics-url',
  },
  'prometheus-url': {
    kind: 'url',
    description:
      'Metrics `prometheus`: the base URL of the server, without `/api/v1`. Thanos and Mimir have the same API.',
    example: 'https://prometheus.example.com',
    config: 'analysis.prometheus.url',
  },
  'prometheus-token': {
    kind: 'secret',
    description: 'Metrics `prometheus`: a bearer token.',
    example: '${{ secrets.PROMETHEUS_TOKEN }}',
  },
  'prometheus-username': {
    kind: 'string',
    pattern: /^[^:\r\n]+$/,
    allowed: 'a name without a colon',
    description: 'Metrics `prometheus`: the user name for basic authentication.',
    config: 'analysis.prometheus.username',
  },
  'prometheus-password': {
    kind: 'secret',
    description: 'Metrics `prometheus`: the password for basic authentication.',
    example: '${{ secrets.PROMETHEUS_PASSWORD }}',
  },
  'prometheus-ca-file': {
    kind: 'path',
    within: 'host',
    description:
      'Metrics `prometheus`: a file with the certificates (PEM) of authorities to trust beside the usual ones.',
    example: '/etc/ssl/internal-ca.pem',
    config: 'analysis.prometheus.ca-file',
  },
  'prometheus-allow-warnings': {
    kind: 'boolean',
    description:
      'Metrics `prometheus`: whether an answer with warnings, such as from a querier that did not reach all its stores, is used. Otherwise it gives no verdict.',
    default: 'false',
    config: 'analysis.prometheus.allow-warnings',
  },
  'requests-metric': {
    kind: 'string',
    description:
      'Selector of the counter of all requests; `{slot}` and `{version}` are filled in. With `prometheus` it may be an expression that counts them over `{window}`.',
    default: 'deploy_actions_proxy_requests_total{slot="{slot}"}',
    config: 'analysis.requests-metric',
  },
  'errors-metric': {
    kind: 'string',
    description:
      'Selector of the counter of the requests that failed, or an expression like that of `requests-metric`.',
    default: 'deploy_actions_proxy_requests_total{slot="{slot}",code=~"5.."}',
    config: 'analysis.errors-metric',
  },
  'response-time-metric': {
    kind: 'string',
    description: 'Selector of the histogram of response times, in seconds.',
    default: 'deploy_actions_proxy_request_duration_seconds{slot="{slot}"}',
    config: 'analysis.response-time-metric',
  },
} as const satisfies InputSpecs;

export type TargetInputs = InputValues<typeof targetInputs>;
export type GitHubInputs = InputValues<typeof githubInputs>;
export type LinuxHostInputs = InputValues<typeof linuxHostInputs>;
export type DeliveryInputs = InputValues<typeof deliveryInputs>;
export type LedgerInputs = InputValues<typeof ledgerInputs>;
export type LimitInputs = InputValues<typeof limitInputs>;

/** Rules between the inputs of a target. */
export function checkTarget(inputs: Partial<TargetInputs>): Problem[] {
  if (
    inputs.platform !== undefined &&
    inputs.router !== undefined &&
    (inputs.platform === 'kubernetes') !== (inputs.router === 'service-selector')
  ) {
    const allowed = inputs.platform === 'kubernetes' ? '`service-selector`' : '`embedded-proxy` and `nginx`';
    return [
      {
        input: 'router',
        value: inputs.router,
        message: `does not go with platform \`${inputs.platform}\`; allowed with it: ${allowed}.`,
      },
    ];
  }
  if (inputs.router === 'embedded-proxy' && inputs.listen === undefined) {
    return [
      {
        input: 'listen',
        message:
          'is missing: the embedded proxy needs the address that it serves at, for example `listen: 127.0.0.1:8080`.',
      },
    ];
  }
  if (inputs.router === 'nginx' && inputs['nginx-upstream-file'] === undefined) {
    return [
      {
        input: 'nginx-upstream-file',
        message:
          'is missing: router `nginx` needs the file that nginx.conf includes, for example `nginx-upstream-file: /etc/nginx/conf.d/helpdesk-upstream.conf`.',
      },
    ];
  }
  return [];
}

/** Rules for what shares the traffic between two versions. */
export function checkSplit(inputs: Partial<TargetInputs>): Problem[] {
  return inputs.router === 'service-selector'
    ? [
        {
          input: 'router',
          value: inputs.router,
          message: 'cannot share traffic between two versions; allowed are `embedded-proxy` and `nginx`.',
        },
      ]
    : [];
}

/** The two ports of `port-range`, or why they are not a range. */
export function parsePortRange(text: string): [number, number] | undefined {
  const [from = Number.NaN, to = Number.NaN] = text.split('-').map(Number);
  return from >= 1 && from <= to && to <= 65_535 ? [from, to] : undefined;
}

export function checkLinuxHost(inputs: Partial<LinuxHostInputs>): Problem[] {
  const range = inputs['port-range'];
  if (range === undefined) return [];
  const ports = parsePortRange(range);
  if (ports === undefined) {
    return [
      {
        input: 'port-range',
        value: range,
        message: 'is not a range; allowed are two ports from 1 to 65535, the lower first.',
      },
    ];
  }
  const needed = 2 * (inputs.instances ?? 1);
  return ports[1] - ports[0] + 1 < needed
    ? [
        {
          input: 'port-range',
          value: range,
          message: `has fewer ports than the ${needed} that two versions of ${inputs.instances ?? 1} instances need.`,
        },
      ]
    : [];
}

export function checkLedger(inputs: Partial<LedgerInputs>): Problem[] {
  return Object.entries(inputs.images ?? {})
    .filter(([, reference]) => parseImageReference(reference) === undefined)
    .map(([name]) => ({
      input: 'images',
      message: `has no image reference for ${name}; allowed is registry[:port]/path[:tag][@sha256:digest].`,
    }));
}

type StatePlace = Pick<TargetInputs, 'state'> & Pick<LinuxHostInputs, 'env'> & GitHubInputs;

/** What is in the repository needs a token, and everybody reads it who reads the repository. */
export function checkState(inputs: Partial<StatePlace>): Problem[] {
  if (inputs.state !== 'git-ref') return [];
  const problems: Problem[] = [];
  if (inputs['github-token'] === undefined) {
    problems.push({
      input: 'github-token',
      message:
        'is missing: with `state: git-ref` the state is kept in the repository; allowed is a token with `contents: write`, such as that of the job.',
    });
  }
  for (const [name, value] of Object.entries(inputs.env ?? {})) {
    if (secretsOf({ [name]: value }).length === 0) continue;
    problems.push({
      input: 'env',
      message: `holds what looks like a secret in ${name}, and \`state: git-ref\` keeps it in the repository; allowed is \`env-file\`, of which only the path is kept.`,
    });
  }
  return problems;
}

export function checkLimits(inputs: Partial<LimitInputs>): Problem[] {
  const problems: Problem[] = [];
  const percentage = (input: 'max-error-rate' | 'confidence', least: number, allowed: string) => {
    const value = inputs[input];
    if (value !== undefined && !(value > least && value < 100)) {
      problems.push({ input, value: String(value), message: `is not allowed; allowed is ${allowed}.` });
    }
  };
  percentage('max-error-rate', 0, 'more than 0 and less than 100');
  percentage('confidence', 50, 'more than 50 and less than 100');
  for (const [index, url] of (inputs['metrics-url'] ?? []).entries()) {
    if (!/^(?:https?:\/\/|unix:\/)/.test(url)) {
      problems.push({
        input: 'metrics-url',
        value: url,
        message: `is not allowed (entry ${index + 1}); allowed are http://…, https://… and unix:/socket:/path.`,
      });
    }
  }
  return [...problems, ...checkPrometheusInputs(inputs), ...checkMetricTexts(inputs)];
}

function checkPrometheusInputs(inputs: Partial<LimitInputs>): Problem[] {
  const problem = (input: keyof LimitInputs, message: string) => [{ input, message }];
  if (inputs.metrics !== 'prometheus') return [];
  const {
    'prometheus-token': token,
    'prometheus-username': username,
    'prometheus-password': password,
  } = inputs;
  return [
    ...(inputs['prometheus-url'] === undefined
      ? problem(
          'prometheus-url',
          'is missing: metrics `prometheus` needs the server, for example `prometheus-url: https://prometheus.example.com`.',
        )
      : []),
    ...(inputs['prometheus-url']?.username || inputs['prometheus-url']?.password
      ? problem(
          'prometheus-url',
          'has a user in it; allowed are `prometheus-username` and `prometheus-password`.',
        )
      : []),
    ...(token !== undefined && (username !== undefined || password !== undefined)
      ? problem('prometheus-token', 'is given beside a user name or password; allowed is one of both.')
      : []),
    ...(token === undefined && (username === undefined) !== (password === undefined)
      ? problem(
          username === undefined ? 'prometheus-username' : 'prometheus-password',
          'is missing: basic authentication needs both, a user name and a password.',
        )
      : []),
  ];
}

/** Whether a metric is given as an expression of PromQL and not as a selector: it says what it counts over. */
export function isExpression(text: string): boolean {
  return text.includes('{window}');
}

function checkMetricTexts(inputs: Partial<LimitInputs>): Problem[] {
  const names = ['requests-metric', 'errors-metric'] as const;
  const given = names.filter((name) => isExpression(inputs[name] ?? ''));
  const [first] = given;
  if (first === undefined) return [];
  const told = (input: (typeof names)[number], message: string): Problem => {
    const value = inputs[input];
    return { input, ...(value !== undefined && { value }), message };
  };
  if (inputs.metrics === 'scrape') {
    return [told(first, 'is an expression; allowed without `metrics: prometheus` is a selector.')];
  }
  const other = names.find((name) => !given.includes(name));
  return other === undefined
    ? []
    : [told(other, `has no {window}, but \`${first}\` has; allowed are two selectors or two expressions.`)];
}
