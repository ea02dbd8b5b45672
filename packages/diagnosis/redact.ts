import type { EnvironmentVariable } from './objects.ts';

const hidden = '***';

/** Names whose values are not shown. A whole word of the name, as names have them: `MONKEY` and `AUTHOR` are none. */
const secretWord =
  /(?:^|[_.-])(?:pass(?:word|wd|phrase)?|pwd|secrets?|tokens?|(?:api|private|secret|access|signing|encryption|account|shared)?_?keys?|credentials?|auth(?:orization)?|dsn|cookie|salt|pepper|bearer|cert(?:ificate)?|jwt|sas|signature)(?:$|[_.-])/i;
const joined = /password|passwd|secret|apikey|accesskey|privatekey|credential|_token|token_/i;

/** `SECRET_KEY`, `db.password`, `apiKey`. */
export function looksSecret(name: string): boolean {
  const words = name.replace(/([a-z\d])([A-Z])/g, '$1_$2');
  return secretWord.test(words) || joined.test(words);
}

/** What a secret looks like wherever it stands, by its own form. */
const forms: [RegExp, string][] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, hidden],
  // The user and password of a URL; a host follows.
  [/\b([a-z][a-z\d+.-]*:\/\/)[^\s/'"<>]*@/gi, `$1${hidden}@`],
  [/\b(Bearer|Basic|Token)\s+[\w.~+/=-]{8,}/gi, `$1 ${hidden}`],
  [/\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?/g, hidden],
  [/\b(?:A3T|AKIA|ASIA|AGPA|AIDA|AROA)[A-Z\d]{12,}\b/g, hidden],
  [/\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk-|sk_live_|rk_live_|npm_|hf_)[\w-]{8,}/g, hidden],
];

/** `password=…`, `"secret_key": "…"`, `--token …`. */
const named =
  /(["']?)([A-Za-z][\w.-]{0,60})\1(\s*[=:]\s*)(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s,;&"'}\])]+))/g;
const option = /(--?)([A-Za-z][\w-]{0,60})(\s+)([^\s-][^\s]*)/g;

/**
 * A word that nobody chose: long, of capitals, small letters and digits. Digests, UIDs and names of pods have no capitals. Of random
 * base64url this misses 4 in 100,000 of 32 bytes and 2 in 1,000 of 18: what has a name, or stands in the environment, does not rest on it.
 */
const word = /[A-Za-z\d+/_-]{20,}={0,2}/g;

function isRandom(text: string): boolean {
  const digits = text.match(/\d/g)?.length ?? 0;
  const capitals = text.match(/[A-Z]/g)?.length ?? 0;
  const small = text.match(/[a-z]/g)?.length ?? 0;
  if (capitals < 1 || small < 1) return false;
  if (/[/]/.test(text) && text.split('/').every((part) => part.length < 16)) return false;
  // Words that are joined change from small to capital where one begins; random ones change all the time.
  const changes = text.match(/[a-z\d](?=[A-Z])|[A-Z](?=[a-z\d])|\d(?=[a-z])|[a-z](?=\d)/g)?.length ?? 0;
  return digits >= 1 ? changes >= text.length / 6 : changes >= text.length / 3;
}

/** Takes secrets out of texts that others wrote. */
export interface Redactor {
  /** Takes this out of every text from now on, whatever it looks like. */
  know(secret: string): void;
  text(text: string): string;
}

/** Values shorter than this are found in everything. */
const shortest = 6;

export function createRedactor(): Redactor {
  const known = new Set<string>();
  return {
    know(secret) {
      for (const part of [secret, ...secret.split('\n')]) {
        const trimmed = part.trim();
        if (trimmed.length >= shortest) known.add(trimmed);
      }
    },
    text(text) {
      let clean = text;
      // The longest first: a shorter one may be a part of it.
      for (const secret of [...known].toSorted((a, b) => b.length - a.length)) {
        clean = clean.replaceAll(secret, hidden);
        const encoded = encodeURIComponent(secret);
        if (encoded !== secret) clean = clean.replaceAll(encoded, hidden);
      }
      for (const [form, instead] of forms) clean = clean.replace(form, instead);
      clean = clean.replace(named, (whole: string, quote: string, name: string, between: string) =>
        looksSecret(name) ? `${quote}${name}${quote}${between}${hidden}` : whole,
      );
      clean = clean.replace(option, (whole: string, dashes: string, name: string, space: string) =>
        looksSecret(name) ? `${dashes}${name}${space}${hidden}` : whole,
      );
      return clean.replace(word, (found) => (isRandom(found) ? hidden : found));
    },
  };
}

/** Literal values of an environment that must not be shown. */
export function secretValuesOf(variables: readonly EnvironmentVariable[]): string[] {
  return variables.flatMap(({ name, value = '' }) => {
    const found = looksSecret(name) ? [value] : [];
    // The password of a URL is one on its own, too: a client may log it in other words.
    for (const [, password = ''] of value.matchAll(/:\/\/[^\s/:@]*:([^\s@]+)@/g)) {
      found.push(password, decoded(password));
    }
    return found;
  });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What is shown of a variable. Values of Secrets and ConfigMaps are not read: where they come from is said. */
export function shownValue({ name, value, valueFrom }: EnvironmentVariable, redactor: Redactor): string {
  if (valueFrom?.secretKeyRef !== undefined) {
    const { name: secret = '', key } = valueFrom.secretKeyRef;
    return `from Secret ${secret}, key ${key} (not read)`;
  }
  if (valueFrom?.configMapKeyRef !== undefined) {
    const { name: map = '', key } = valueFrom.configMapKeyRef;
    return `from ConfigMap ${map}, key ${key} (not read)`;
  }
  if (valueFrom?.fieldRef !== undefined) return `from the pod: ${valueFrom.fieldRef.fieldPath}`;
  if (valueFrom?.resourceFieldRef !== undefined)
    return `from the limits: ${valueFrom.resourceFieldRef.resource}`;
  if (value === undefined || value === '') return '(empty)';
  return looksSecret(name) ? hidden : redactor.text(value);
}
