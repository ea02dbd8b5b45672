/** Every rule by its name, with its weight: of two causes, the one that explains the other weighs more. */
export const ruleWeights = {
  'image-pull': 100,
  configuration: 98,
  'pending-volume': 97,
  quota: 96,
  unschedulable: 95,
  'out-of-memory': 94,
  dns: 93,
  dependency: 92,
  'selector-matches-nothing': 91,
  'liveness-probe': 90,
  'crash-loop': 88,
  'cannot-start': 87,
  'failing-probe': 80,
  'wrong-port': 78,
  'no-endpoints': 70,
  'scaled-to-zero': 69,
  'blocked-database': 60,
  errors: 55,
  restarts: 50,
  'cpu-limit': 45,
  'memory-limit': 44,
  'autoscaler-at-max': 40,
  'slow-database': 38,
  'budget-blocks': 30,
} as const;

export type Rule = keyof typeof ruleWeights;

export interface Cause {
  rule: Rule;
  /** `broken`: something does not work. `risk`: it works, and may not for long. */
  severity: 'broken' | 'risk';
  /** One sentence. */
  title: string;
  /** What was seen, most telling first. */
  evidence: string[];
  /** What to do next. */
  next: string;
}

const severities = { broken: 1_000, risk: 0 } as const;

/** The most probable first: what is broken before what may break, what explains others before what follows from it. */
export function rank(causes: readonly Cause[]): Cause[] {
  const weight = ({ rule, severity }: Cause) => severities[severity] + ruleWeights[rule];
  return causes.toSorted((a, b) => weight(b) - weight(a));
}
