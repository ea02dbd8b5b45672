import { escapeMarkdown, formatDuration } from '@deploy-actions/core';
import type { Cause } from './causes.ts';
import { gapText } from './collect.ts';
import { type ContainerLog, type Facts, isLeaving, isPodReady, statusesOf } from './facts.ts';
import type { RunContainer, RunPod } from './objects.ts';
import { endOf } from './pod-states.ts';

function table(header: string[], rows: string[][]): string {
  return [header, header.map(() => '---'), ...rows.map((cells) => cells.map(escapeMarkdown))]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

/** A fence that is longer than any in the text. */
function block(lines: readonly string[]): string {
  const text = lines.join('\n');
  const longest = Math.max(2, ...Array.from(text.matchAll(/`+/g), ([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}\n${text}\n${fence}`;
}

/** The causes as a numbered list: title, evidence, what to do next. */
export function causesMarkdown(causes: readonly Cause[]): string {
  if (causes.length === 0) return 'Nothing was seen to be wrong.';
  return causes
    .map(({ title, severity, rule, evidence, next }, index) => {
      const risk = severity === 'risk' ? ' (a risk)' : '';
      const seen = evidence.map((line) => `   - ${escapeMarkdown(line)}`);
      return [
        `${index + 1}. **${escapeMarkdown(title)}**${risk} \`${rule}\``,
        ...seen,
        `   - Next: ${escapeMarkdown(next)}`,
      ].join('\n');
    })
    .join('\n');
}

/** What could not be looked at, and the right that is missing. */
export function gapsMarkdown({ gaps }: Facts): string {
  return gaps.map((gap) => `- ${escapeMarkdown(gapText(gap))}`).join('\n');
}

function stateOf(pod: RunPod): string {
  if (isLeaving(pod)) return 'is being stopped';
  const states = statusesOf(pod).flatMap((status) => {
    const { waiting, terminated } = status.state ?? {};
    if (waiting !== undefined) return `${status.name}: ${waiting.reason ?? 'waits'}`;
    if (terminated !== undefined && terminated.exitCode !== 0)
      return `${status.name}: ${endOf(status) ?? ''}`;
    return [];
  });
  const before = statusesOf(pod).flatMap((status) =>
    status.lastState?.terminated === undefined
      ? []
      : `${status.name} before: ${endOf({ ...status, state: {} }) ?? ''}`,
  );
  return [...states, ...before].join('; ');
}

function resourcesText({ resources = {} }: RunContainer, name: 'cpu' | 'memory'): string {
  return `${resources.requests?.[name] ?? '–'} / ${resources.limits?.[name] ?? '–'}`;
}

const mebibytes = (bytes: number | undefined): string =>
  bytes === undefined ? '–' : `${Math.round(bytes / 2 ** 20)} MiB`;
const cores = (value: number | undefined): string =>
  value === undefined ? '–' : `${Math.round(value * 1_000)}m`;

/** The name of a log in the folder. */
export function logFileName({ pod, container, previous }: ContainerLog): string {
  return `${pod}_${container}${previous ? '_previous' : ''}.log`;
}

const shownLines = 30;

/** The whole of it as one Markdown document; causes first. What it is given is without secrets already. */
export function renderReport(facts: Facts, causes: readonly Cause[]): string {
  const { pods, workloads, services, events, logs, usage } = facts;
  const age = (time: string | undefined) =>
    formatDuration(Math.max(0, facts.now - Date.parse(time ?? '')) || 0);
  const parts = [
    `# Diagnosis of ${escapeMarkdown(facts.subject)}`,
    `Namespace ${facts.namespace}, ${new Date(facts.now).toISOString()}, pods with \`${facts.selector}\`: ${pods.filter(isPodReady).length} of ${pods.length} ready.`,
    '## Probable causes',
    causesMarkdown(causes),
  ];
  const section = (title: string, ...texts: string[]) => {
    const some = texts.filter((text) => text !== '');
    if (some.length > 0) parts.push(`## ${title}`, ...some);
  };
  section('Not looked at', gapsMarkdown(facts));
  section(
    'Pods',
    table(
      ['Pod', 'Phase', 'Ready', 'Restarts', 'Age', 'Node', 'State'],
      pods.map((pod) => {
        const statuses = statusesOf(pod);
        return [
          pod.metadata.name,
          pod.status?.phase ?? '',
          `${pod.status?.containerStatuses?.filter(({ ready }) => ready).length ?? 0}/${pod.spec.containers.length}`,
          String(statuses.reduce((sum, { restartCount }) => sum + restartCount, 0)),
          age(pod.metadata.creationTimestamp),
          pod.spec.nodeName ?? '–',
          stateOf(pod),
        ];
      }),
    ),
  );
  section(
    'Requests, limits and usage',
    table(
      ['Container', 'Image', 'CPU request / limit', 'Memory request / limit', 'CPU used', 'Memory used'],
      pods.flatMap((pod) =>
        pod.spec.containers.map((container) => {
          const used = usage.find((one) => one.pod === pod.metadata.name && one.container === container.name);
          return [
            `${pod.metadata.name}/${container.name}`,
            container.image ?? '',
            resourcesText(container, 'cpu'),
            resourcesText(container, 'memory'),
            cores(used?.cpu),
            mebibytes(used?.memory),
          ];
        }),
      ),
    ),
  );
  section(
    'Workloads',
    table(
      ['Workload', 'Replicas', 'Conditions'],
      workloads.map(({ kind, metadata, spec, status }) => [
        `${kind} ${metadata.name}`,
        kind === 'DaemonSet' ? 'one a node' : String(spec.replicas ?? 1),
        (status?.conditions ?? [])
          .map(
            ({ type, status: value, reason = '', message = '' }) => `${type} ${value} (${reason}) ${message}`,
          )
          .join('; '),
      ]),
    ),
  );
  const { slices } = facts;
  section(
    'Services',
    services.length === 0
      ? ''
      : table(
          ['Service', 'Selector', 'Ready endpoints', 'Others'],
          services.map(({ metadata, spec }) => {
            const found = (slices ?? [])
              .filter((slice) => slice.metadata.labels?.['kubernetes.io/service-name'] === metadata.name)
              .flatMap(({ endpoints }) => endpoints ?? []);
            const ready = found.filter(({ conditions }) => conditions?.ready !== false);
            const selector = Object.entries(spec.selector ?? {}).map(([key, value]) => `${key}=${value}`);
            const count = (number: number) => (slices === null ? 'not read' : String(number));
            return [
              metadata.name,
              selector.join(','),
              count(ready.length),
              count(found.length - ready.length),
            ];
          }),
        ),
  );
  section(
    'Autoscalers and disruption budgets',
    [
      ...facts.autoscalers.map(
        ({ metadata, spec, status }) =>
          `- HorizontalPodAutoscaler ${metadata.name}: ${status?.currentReplicas ?? 0} replicas, from ${spec.minReplicas ?? 1} to ${spec.maxReplicas}`,
      ),
      ...facts.budgets.map(
        ({ metadata, status }) =>
          `- PodDisruptionBudget ${metadata.name}: ${status?.disruptionsAllowed ?? 0} disruptions allowed, ${status?.currentHealthy ?? 0} healthy of ${status?.desiredHealthy ?? 0} wanted`,
      ),
    ].join('\n'),
  );
  section(
    'Database and cache, from inside a pod',
    facts.reaches.length === 0
      ? ''
      : table(
          ['From', 'Variable', 'To', 'State'],
          facts.reaches.map(({ pod, variable, host, port, state }) => [
            pod,
            variable,
            `${host}:${port}`,
            state,
          ]),
        ),
  );
  section(
    'Requests',
    facts.requests.length === 0
      ? ''
      : table(
          ['Pod', 'Requests since it started', 'Answered with 5xx', 'Mean duration'],
          facts.requests.map(({ pod, requests, errors, mean }) => [
            pod,
            String(requests ?? '–'),
            String(errors ?? '–'),
            mean === null ? '–' : formatDuration(mean * 1_000),
          ]),
        ),
  );
  const { database } = facts;
  if (database !== null) {
    section(
      'Database',
      `${database.connections} of ${database.maxConnections} connections, ${database.active} active.`,
      database.queries.length === 0
        ? ''
        : table(
            ['Process', 'State', 'Since', 'Waits for', 'Application', 'Query'],
            database.queries.map(({ pid, state, seconds, blockedBy, waitsFor, application, query }) => [
              String(pid),
              state,
              formatDuration(seconds * 1_000),
              blockedBy.length === 0 ? waitsFor : `process ${blockedBy.join(', ')}`,
              application,
              query,
            ]),
          ),
    );
  }
  section(
    'Events',
    events.length === 0
      ? 'None.'
      : table(
          ['Last', 'Times', 'Type', 'Reason', 'Of', 'Message'],
          events
            .slice(0, 50)
            .map(({ last, count, type, reason, kind, objects, message }) => [
              `${formatDuration(Math.max(0, facts.now - last))} ago`,
              String(count),
              type,
              reason,
              `${kind} ${objects[0] ?? ''}${objects.length > 1 ? ` and ${objects.length - 1} more` : ''}`,
              message.slice(0, 500),
            ]),
        ),
  );
  for (const { container, variables } of facts.environment) {
    section(
      `Environment of container ${container}`,
      table(
        ['Variable', 'Value'],
        variables.map(({ name, value }) => [name, value]),
      ),
    );
  }
  section(
    'Logs',
    ...logs
      .filter(({ lines }) => lines.length > 0)
      .map(
        (log) =>
          `<details><summary>${logFileName(log)}</summary>\n\n${block(log.lines.slice(-shownLines))}\n\n</details>`,
      ),
  );
  return `${parts.join('\n\n')}\n`;
}
