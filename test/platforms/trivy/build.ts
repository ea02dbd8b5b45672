// Builds the real Trivy where it is not there yet, for a start before the tests that need it: npm run test:platforms.
import { trivyPrograms } from './trivy.ts';

process.stdout.write(`${await trivyPrograms((line) => void process.stderr.write(`${line}\n`))}\n`);
