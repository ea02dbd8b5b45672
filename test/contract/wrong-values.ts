import type { InputSpec } from '@deploy-actions/action-kit';

/** A class of wrong value, with one of it. */
export interface WrongValue {
  class: string;
  text: string;
}

const nul = '\0';

/** One value of every class that is wrong for the input. Empty where every text is right: free text and secrets. */
export function wrongValuesFor(spec: InputSpec): WrongValue[] {
  const wrong = (name: string, ...texts: string[]) => texts.map((text) => ({ class: name, text }));
  switch (spec.kind) {
    case 'string': {
      const { pattern } = spec;
      if (pattern === undefined) return [];
      const candidates = {
        symbols: '!?',
        'path upwards': '../../x',
        'a line break': 'a\nb',
        emoji: '🦄',
        'too long': 'x'.repeat(5_000),
      };
      return Object.entries(candidates)
        .filter(([, text]) => !pattern.test(text))
        .flatMap(([name, text]) => wrong(name, text));
    }
    case 'boolean':
      return wrong('another word', 'yes', '1', 'tru', 'true, false');
    case 'integer':
    case 'integers':
      return [
        ...wrong('no number', 'x', 'NaN', '0x10', '1 2'),
        ...wrong('no whole number', '1.5', '1e3'),
        ...wrong('too large for a number', '9'.repeat(30)),
        ...(spec.min === undefined ? [] : wrong('too small', String(spec.min - 1))),
        ...(spec.max === undefined ? [] : wrong('too large', String(spec.max + 1))),
        ...(spec.kind === 'integers'
          ? wrong('one wrong item', `${spec.min},x`, `${spec.min},${spec.max + 1}`)
          : []),
      ];
    case 'percentage':
      return [
        ...wrong('no number', 'x', 'NaN', '5 percent', '50%%'),
        ...wrong('out of range', '-1', '100.1', '101%'),
      ];
    case 'duration':
      return [
        ...wrong('no duration', 'x', 'NaN', '10', '5 minutes', '1h 30', '1m1h', 'Infinity'),
        ...wrong('negative', '-5s'),
        ...(spec.max === undefined ? [] : wrong('too long', '1000d')),
        ...(spec.min === undefined || spec.min === '0' ? [] : wrong('too short', '0')),
      ];
    case 'enum':
      return wrong(
        'unknown',
        'no-such-value',
        `${spec.values[0]}x`,
        (spec.values[0] ?? '').toUpperCase(),
      ).filter(({ text }) => !spec.values.includes(text));
    case 'list': {
      const { pattern } = spec;
      return [
        // Of a list by lines nothing but lines is empty, and that is no value at all.
        ...(spec.separator === 'lines' ? [] : wrong('nothing but separators', ',', ',\n,')),
        ...(pattern === undefined
          ? []
          : wrong(
              'a wrong item',
              ...['!?', '../../x', '🦄']
                .filter((text) => !pattern.test(text))
                .flatMap((text) => [text, `a,${text}`]),
            )),
      ];
    }
    case 'map':
      return [
        ...wrong('no value', 'name'),
        ...wrong('no name', '=value'),
        ...wrong('a wrong name', '1a=value', 'a b=value'),
        ...wrong('a name twice', 'a=1\na=2'),
      ];
    case 'command':
      return wrong('an open quote', '"', "run 'it", 'run \\');
    case 'image':
      return wrong(
        'no reference',
        'UPPER/case',
        'image:',
        'a b',
        '/x',
        'image@sha256:123',
        'https://host/image',
      );
    case 'images':
      return [
        ...wrong('no reference', 'UPPER/case', 'image:', 'a b', 'image@sha256:123', 'https://host/image'),
        ...wrong('one wrong item', 'acme/app:1,image:', 'acme/app:1\n/x'),
        ...wrong('nothing but separators', ','),
      ];
    case 'path':
      return [
        ...wrong('a NUL character', `a${nul}b`),
        ...(spec.within === 'workspace' ? wrong('outside', '..', '../x', '/etc/passwd', 'a/../../b') : []),
      ];
    case 'url':
      return [
        ...wrong('another scheme', 'ftp://host/', 'file:///etc/passwd', 'javascript:alert(1)'),
        ...wrong('no URL', 'host.example.com', 'http:host', 'http://', 'https://a b/', 'http://host:99999/'),
      ];
    case 'json':
      return wrong('not JSON', '{', '{"a":}', 'undefined', "{'a': 1}");
    case 'yaml':
      return wrong('not YAML', 'a: [', 'a: b: c', '"open');
    case 'secret':
      return [];
  }
}
