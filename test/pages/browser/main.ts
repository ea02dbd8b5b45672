import { look } from './look.ts';
import { height, show, unfold } from './view.ts';

Object.assign(globalThis, { pages: { show, unfold, height, look } });
