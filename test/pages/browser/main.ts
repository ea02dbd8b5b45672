import { look } from './look.ts';
import { fold, show } from './view.ts';

Object.assign(globalThis, { pages: { show, look, fold } });
