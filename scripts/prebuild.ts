// Builds what takes minutes and is needed late, at low priority: for CI on a new machine. What is there already is left alone. The tests
// that need it wait for it, or make it themselves where this was ended.
import { kubernetesBinaries, testServer } from '../test/cluster/binaries.ts';
import { prebuildEngine } from '../test/platforms/engine/engine.ts';
import { installEnginePackages } from '../test/platforms/engine/programs.ts';
import { trivyPrograms } from '../test/platforms/trivy/trivy.ts';
import { setupPython } from './setup-python.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);

// There is no engine but for root on Linux. The packages come first: later, tests install some of their own.
const hasEngine = process.platform === 'linux' && process.getuid?.() === 0;
if (hasEngine) await installEnginePackages(say);
await setupPython({ log: say });
await kubernetesBinaries(say);
await testServer(say);
await trivyPrograms(say);
if (hasEngine) await prebuildEngine(say);
