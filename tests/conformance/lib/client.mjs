// What the suite's client mode starts for each scenario, all of them at once: each waits for its turn before it loads anything. Forty
// programs that start together leave the suite's own servers so little of a small machine that Tulle stops waiting for them (10 s).
import { takeTurn } from './turns.mjs';

await takeTurn(Number(process.env.TULLE_TURNS));
await import('./client_scenario.mjs');
process.exit(0);
