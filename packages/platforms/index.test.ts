import { expect, it } from 'vitest';
import { platformNamed, platformNames, platforms } from './index.ts';

it('knows its platforms by name and lists them for an unknown one', () => {
  for (const name of platformNames) {
    expect(platformNamed(name)).toBe(name);
    expect(platforms[name]).toBeTypeOf('function');
  }
  for (const name of ['', 'linux', 'LINUX-HOST', 'toString', '__proto__']) {
    expect(() => platformNamed(name)).toThrow(
      expect.objectContaining({
        reasonCode: 'invalid_input',
        remedy: 'Platforms are: kubernetes, linux-host.',
      }),
    );
  }
});
